#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that e2image -Q made, of an ext4 file system's metadata, is read.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires which mkfs.ext4 e2image

truncate -s 16M fs.img
mkfs.ext4 -q -F fs.img
e2image -Q fs.img fs.qcow2
mount_fs fs.qcow2 mnt
shows_as mnt/fs.raw fs.qcow2
e2fsck -fn mnt/fs.raw >fsck.out 2>&1 || { cat fsck.out; fail "e2fsck finds a clean file system"; }
unmount mnt
