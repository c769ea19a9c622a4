#!/bin/bash
# SPDX-License-Identifier: MIT
# Data that was written through a loop device, without a sync, is in the image when umount(8)
# returns, though a detached device closes its file without a flush.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires losetup -f
requires which blkdiscard

noise data 30000000
for direct in off on off on; do
	image disk.qcow2 256M
	mount_rw log disk.qcow2 mnt
	attach "--direct-io=$direct" mnt/disk.raw
	dd if=data of="$LOOP" bs=1M status=none
	blkdiscard -o 10M -l 10M "$LOOP"
	detach
	until_true 10 umount "$PWD/mnt" # the device may have the file open for a moment
	cp --sparse=always disk.qcow2 copy.qcow2
	sound disk.qcow2
	sound copy.qcow2
	raw_of copy.qcow2 >got
	cmp -n 10485760 got data || fail "what was written is there"
	same <(tail -c +20971521 got | head -c 9028480) <(tail -c +20971521 data)
	wait "$DAEMON" || fail "the daemon's status is $?"
	MOUNTS=()
	rm disk.qcow2 copy.qcow2
done
