#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: thread
# While fio writes and verifies, snapshots are taken, renamed and deleted; each that stays is whole,
# and holds all earlier writes.
# shellcheck source=writing.sh
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires fio --version

mkdir src mnt
image src/disk.qcow2 64M
mount_rw log -o snapshots src mnt
printf 'before the first' | dd of=mnt/disk.raw bs=1 seek=$((63 << 20)) conv=notrunc status=none
fio --name=load --filename=mnt/disk.raw --size=48M --offset=0 --rw=randwrite --bs=4k-128k \
	--ioengine=psync --numjobs=1 --randseed="$SEED" --verify=crc32c --do_verify=1 \
	--time_based=0 --io_size=96M --allow_file_create=0 --output=fio.out &
FIO=$!
PROCESSES+=("$FIO")
i=0
while kill -0 $FIO 2>/dev/null || [ $i -lt 9 ]; do
	mkdir "mnt/disk.snapshots/s$i"
	[ "$(dd if="mnt/disk.snapshots/s$i/disk.raw" bs=1 skip=$((63 << 20)) count=16 status=none)" = 'before the first' ] ||
		fail "s$i has what was written before"
	sha256sum <"mnt/disk.snapshots/s$i/disk.raw" >"s$i.sum"
	case $((i % 3)) in
	1) mv "mnt/disk.snapshots/s$i" "mnt/disk.snapshots/r$i" && mv "s$i.sum" "r$i.sum" ;;
	2) rmdir "mnt/disk.snapshots/s$i" && rm "s$i.sum" ;;
	esac
	i=$((i + 1))
	[ $i -lt 60 ] || break
done
wait $FIO || { cat fio.out; fail "fio verifies what it wrote"; }
PROCESSES=()
echo "# $i were taken"
for sum in *.sum; do
	s=${sum%.sum}
	sha256sum <"mnt/disk.snapshots/$s/disk.raw" | cmp - "$sum" || fail "$s is as it was when it was taken"
done
unmount_rw mnt
sound src/disk.qcow2
qemu-img snapshot -l src/disk.qcow2
for sum in *.sum; do
	s=${sum%.sum}
	qemu-img convert -f qcow2 -O raw -l "$s" src/disk.qcow2 snap.raw
	sha256sum <snap.raw | cmp - "$sum" || fail "$s, by QEMU, is the same"
done
[ ! -s log ] || { cat log; fail "the log is empty"; }
