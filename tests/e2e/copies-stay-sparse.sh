#!/bin/bash
# SPDX-License-Identifier: MIT
# cp, tar and qemu-img skip the holes of a disk, and their copies are the same.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

image base.qcow2 100G "write -P 1 7G 3M"
overlay disk.qcow2 base.qcow2 qcow2 "write -P 2 50G 1M" "write -z 8G 1G" "write -P 3 99G 64k"
mkdir out
mount_fg log disk.qcow2 mnt
small() { [ "$(stat -c %b "$1")" -lt 20000 ] || fail "$1 is sparse: $(stat -c %b "$1") blocks"; }
cp --sparse=auto mnt/disk.raw out/cp.raw
small out/cp.raw
tar -C mnt -cSf out/disk.tar disk.raw
tar -C out -xSf out/disk.tar
small out/disk.raw
qemu-img convert -f raw -O qcow2 mnt/disk.raw out/disk.qcow2
small out/disk.qcow2
kill -USR1 "$DAEMON"
until_true 10 grep -q 'reads, ' log
bytes=$(sed -n 's/.* reads, \([0-9]*\) bytes.*/\1/p' log)
[ "$bytes" -lt $((100 << 20)) ] || fail "holes are not read: $bytes bytes are"
for copy in cp.raw disk.raw; do
	qemu-img compare -q -f raw -F qcow2 out/$copy disk.qcow2 || fail "$copy is the same"
done
qemu-img compare -q -f qcow2 -F qcow2 out/disk.qcow2 disk.qcow2 || fail "the image is the same"
unmount mnt
