#!/bin/bash
# SPDX-License-Identifier: MIT
# Chains on block devices, as on LVM: SOURCE is an overlay on one device, its backing file is another
# one, which backing=any opens read-only.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root

device() { # device FILE SIZE: an empty loop device, $DEVICE
	truncate -s "$2" "$1"
	DEVICE=$(losetup --find --show "$1") || skip "needs loop devices"
	LOOPS+=("$DEVICE")
}
device base 8M
BASE=$DEVICE
device top 8M
TOP=$DEVICE
qemu-img create -q -f qcow2 "$BASE" 4M
qio "$BASE" "write -P 1 0 4M"
qemu-img create -q -f qcow2 -b "$BASE" -F qcow2 "$TOP" 4M
qio "$TOP" "write -P 2 1M 64k"
qemu-img create -q -f qcow2 -b "$BASE" -F qcow2 over.qcow2 4M
mkdir mnt

refuses 2 "backing file '$BASE' is (a block device|outside of the image's folder) .*backing=any" over.qcow2 mnt
ln -s "$BASE" here
qemu-img create -q -u -f qcow2 -b here -F qcow2 link.qcow2 4M
refuses 2 "backing=any" link.qcow2 mnt
mount_fs -o backing=any over.qcow2 mnt
shows_as mnt/over.raw "$BASE"
unmount mnt
raw_of "$TOP" >want
sum=$(sha256sum base)
"$QCOWFS" -o backing=any "$TOP" mnt || fail "an overlay on a device, on a device"
MOUNTS+=("$PWD/mnt")
same "mnt/$(basename "$TOP").raw" want
printf x | dd of="mnt/$(basename "$TOP").raw" bs=1 seek=3M conv=notrunc status=none || fail "it is written"
unmount mnt
[ "$(sum=; sha256sum base)" = "$sum" ] || fail "the base is as it was"
printf x | dd of=want bs=1 seek=3M conv=notrunc status=none
cmp want <(raw_of "$TOP") || fail "QEMU reads what was written"
# Nothing else becomes a file.
qemu-img create -q -u -f qcow2 -b /dev/zero -F raw zero.qcow2 1M
refuses 2 'not a regular file' -o backing=any zero.qcow2 mnt
