#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: none
# The daemon is killed while files are unpacked onto ext4 on our file: the image is sound, and so
# is the file system when its journal has been replayed; synced data is there.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires losetup -f

ROUNDS=2
[ -z "${LONG:-}" ] || ROUNDS=20

mkdir tree real
files=()
for i in $(seq 400); do files+=("tree/$i" $((RANDOM % 60000 + 1))); done
noise "${files[@]}"
tar -C tree -cf tree.tar .
sums tree >want
image disk.qcow2 1G
mount_rw log disk.qcow2 mnt
attach mnt/disk.raw
mkfs.ext4 -q -F "$LOOP"
detach
unmount_rw mnt
for round in $(seq "$ROUNDS"); do
	mount_rw log disk.qcow2 mnt
	attach "--direct-io=$([ $((round % 2)) = 0 ] && echo on || echo off)" mnt/disk.raw
	mount "$LOOP" real
	MOUNTS+=("$PWD/real")
	mkdir -p "real/synced-$round"
	tar -C "real/synced-$round" -xf tree.tar
	sync -f real
	mkdir "real/torn-$round"
	tar -C "real/torn-$round" -xf tree.tar 2>/dev/null &
	writer=$!
	sleep "0.$((RANDOM % 9))"
	kill -9 "$DAEMON"
	wait "$writer" "$DAEMON" 2>/dev/null || true
	umount -l real || true
	umount -l mnt || true
	detach
	status=0
	qemu-img check -f qcow2 disk.qcow2 >check.out 2>&1 || status=$?
	[ $status = 0 ] || [ $status = 3 ] || { cat check.out; fail "no corruption in round $round"; }
	mount_rw log disk.qcow2 mnt
	attach mnt/disk.raw
	mount "$LOOP" real # replays the journal
	for kept in $(seq "$round"); do
		sums "real/synced-$kept" | diff - want || fail "what was synced in round $kept is there"
		rm -rf "real/torn-$kept"
	done
	unmount real
	e2fsck -fn "$LOOP" >fsck.out 2>&1 || { cat fsck.out; fail "ext4 is sound in round $round"; }
	detach
	unmount_rw mnt
done
