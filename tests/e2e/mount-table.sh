#!/bin/bash
# SPDX-License-Identifier: MIT
# The list of mounts shows the source and the type, or what fsname= and subtype= say;
# allow_other brings default_permissions along, and ro is ro.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

line() { grep " $PWD/mnt fuse" /proc/mounts; }
expect() { line | grep -Eq -- "$1" || { line; fail "$1"; }; }
expect_not() { if line | grep -Eq -- "$1"; then line; fail "not $1"; fi; }

mkdir src
image src/disk.qcow2 1M
mount_fs src mnt
expect "^$PWD/src $PWD/mnt fuse.qcowfs ro,"
expect_not allow_other
unmount mnt
mount_fs src/disk.qcow2 mnt
expect "^$PWD/src/disk.qcow2 $PWD/mnt fuse.qcowfs ro,"
unmount mnt
mount_fs -o fsname=some\\,thing,subtype=else src mnt
expect "^some,thing $PWD/mnt fuse.else"
unmount mnt
if [ "$(id -u)" = 0 ]; then
	mount_fs -o allow_other src mnt
	expect 'default_permissions.*allow_other|allow_other.*default_permissions'
	unmount mnt
fi
mount_fs -o default_permissions,nosuid,nodev,noexec src mnt
expect default_permissions
expect nosuid,nodev,noexec
unmount mnt
