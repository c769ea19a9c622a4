#!/bin/bash
# SPDX-License-Identifier: MIT
# Where temporary overlays have no room the writer gets ENOSPC, nothing is lost, and the
# place is free as soon as the mount has gone.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
own_mounts
requires_root

trap 'umount -l tmp 2>/dev/null; at_exit' EXIT
mkdir tmp
requires mount -t tmpfs -o size=4m none tmp
image disk.qcow2 16M "write -P 1 0 16M"
sha256sum disk.qcow2 >want
free() { df --output=avail tmp | tail -n 1; }
at_first=$(free)

export TMPDIR=$PWD/tmp
mount_with cow log disk.qcow2 mnt
unset TMPDIR
head -c 1M /dev/urandom >first
dd if=first of=mnt/disk.raw conv=notrunc,fsync status=none
fails_with 'No space left' dd if=/dev/urandom of=mnt/disk.raw bs=64k seek=16 conv=notrunc,fsync
cmp -n 1048576 first mnt/disk.raw || fail "what was written before is there"
tail -c 1M mnt/disk.raw | cmp -s - <(head -c 1M /dev/zero | tr '\0' '\1') || fail "what was not, as in the image"
[ "$(names tmp)" = '*' ] || fail "an overlay has no name: $(names tmp)"
[ "$(free)" -lt 1000 ] || fail "it is full"
unmount_rw mnt
[ "$(free)" = "$at_first" ] || fail "the place is free again"

# Not even room for an empty one.
dd if=/dev/zero of=tmp/ballast bs=4k 2>/dev/null || :
status=0
TMPDIR=$PWD/tmp "$QCOWFS" -o cow disk.qcow2 mnt 2>err || status=$?
[ $status = 2 ] || fail "status 2: $status"
grep -q 'cannot make its overlay .*overlay of disk.qcow2: No space left' err || fail "it says so: $(cat err)"
rm tmp/ballast

# Nor a folder.
status=0
TMPDIR=/nowhere "$QCOWFS" -o cow disk.qcow2 mnt 2>err || status=$?
[ $status = 1 ] || fail "status 1: $status"
grep -q '/nowhere: No such file' err || fail "it says so: $(cat err)"

# FILE on a full disk.
mount_with "cow=$PWD/tmp/over" log disk.qcow2 mnt
fails_with 'No space left' dd if=/dev/urandom of=mnt/disk.raw bs=64k conv=notrunc,fsync
unmount_rw mnt
sound tmp/over
dd if=/dev/zero of=tmp/ballast bs=4k 2>/dev/null || :
status=0
"$QCOWFS" -o "cow=$PWD/tmp/none" disk.qcow2 mnt 2>err || status=$?
[ $status = 2 ] || fail "status 2: $status"
[ ! -e tmp/none ] || fail "half a file is not left"
sha256sum -c --quiet want || fail "the image is as it was"
