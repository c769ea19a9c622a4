#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that QEMU has open for writing is refused with status 3, and the message names the process; so
# is a backing file.  In a folder, opening it gives EBUSY until it is let go.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src mnt
image src/disk.qcow2 1M "write -P 1 0 1M"
(cd src && overlay over.qcow2 disk.qcow2 qcow2)
hold src/disk.qcow2
refuses 3 "qemu-io.*$HOLDER" src/disk.qcow2 mnt
refuses 3 "disk.qcow2.*qemu-io" src/over.qcow2 mnt
mount_fs src mnt
[ "$(stat -c %s mnt/disk.raw)" = 1048576 ] || fail "its size is known"
fails_with 'Device or resource busy' cat mnt/disk.raw
fails_with 'Device or resource busy' cat mnt/over.raw
let_go
shows_as mnt/disk.raw src/disk.qcow2
shows_as mnt/over.raw src/over.qcow2
unmount mnt

requires which qemu-storage-daemon
serve src/disk.qcow2 "$PWD/socket"
refuses 3 "qemu-storage.*$HOLDER" src/disk.qcow2 mnt
let_go
mount_fs src/disk.qcow2 mnt
unmount mnt
