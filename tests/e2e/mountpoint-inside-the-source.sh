#!/bin/bash
# SPDX-License-Identifier: MIT
# The mountpoint may lie in the folder that is mounted; it is not shown in itself.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/mnt src/lab
image src/disk.qcow2 1M "write -P 1 0 1M"
cp src/disk.qcow2 src/lab/x.qcow2
mount_fs src src/mnt
names=$(cd src/mnt && timeout 300 find . -mindepth 1 -printf '%P\n' | sort | xargs)
[ "$names" = "disk.raw lab lab/x.raw" ] || fail "shown are: $names"
shows_as src/mnt/disk.raw src/disk.qcow2
timeout 300 find src >/dev/null || fail "the source can be walked"
unmount src/mnt
