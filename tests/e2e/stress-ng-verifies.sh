#!/bin/bash
# SPDX-License-Identifier: MIT
# stress-ng, which verifies its reads, finds no fault on a file system on our file.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires losetup -f
requires stress-ng --version

seconds=10
[ -z "${LONG:-}" ] || seconds=120
image disk.qcow2 2G
mount_rw log disk.qcow2 mnt
attach --direct-io=on mnt/disk.raw
mkfs.ext4 -q -F "$LOOP"
mkdir real
mount -o discard "$LOOP" real
MOUNTS+=("$PWD/real")
stress-ng --temp-path "$PWD/real" --verify --timeout "$seconds" --hdd 2 --hdd-bytes 64m \
	--hdd-opts rd-rnd,wr-rnd,fsync --fallocate 1 --fallocate-bytes 128m --mmap 1 \
	--mmap-bytes 64m --mmap-file --mmap-async >stress.out 2>&1 || {
	tail -20 stress.out
	fail "stress-ng is content"
}
unmount real
e2fsck -fn "$LOOP" >fsck.out 2>&1 || {
	cat fsck.out
	fail "ext4 is sound"
}
detach
unmount_rw mnt
sound disk.qcow2
