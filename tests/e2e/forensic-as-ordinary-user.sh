#!/bin/bash
# SPDX-License-Identifier: MIT
# Evidence of another user, with read permission only, on a read-only file system: any user mounts it
# with -o forensic.  A change that cannot be prevented is logged once.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
own_mounts # and what it mounts itself
requires_user_mounts

mkdir -p bin src/lab mnt ro
cp "$QCOWFS" bin/qcowfs
chmod 755 bin
image src/base.qcow2 1M "write -P 1 0 1M"
overlay src/disk.qcow2 base.qcow2 qcow2 "write -P 2 0 1k"
qemu-img snapshot -c one src/disk.qcow2
qio src/disk.qcow2 "write -P 3 0 1k"
qemu-img convert -f qcow2 -O raw src/disk.qcow2 want
qemu-img convert -f qcow2 -O raw -l one src/disk.qcow2 want.one
chown 65534 mnt
chmod 444 src/*.qcow2
chmod 555 src src/lab

looks_right() {
	as_user cmp mnt/disk.raw want || fail "the disk"
	as_user cmp mnt/disk.snapshots/one/disk.raw want.one || fail "its snapshot"
	as_user cmp mnt/disk.chain/0-disk.qcow2.raw want || fail "the first of its chain"
	as_user cat mnt/disk.json mnt/base.json >/dev/null || fail "what is known of it"
	[ "$(as_user ls mnt/base.chain | xargs)" = "0-base.qcow2.own.raw 0-base.qcow2.raw" ] || fail "the base"
}

look_at() { # look_at SOURCE: mounts and unmounts it; its messages are in log
	local pid
	as_user "$PWD/bin/qcowfs" -f -o forensic "$1" mnt 2>log &
	pid=$!
	PROCESSES+=("$pid")
	until_true 20 is_mounted mnt
	MOUNTS+=("$PWD/mnt")
	looks_right
	as_user fusermount3 -u mnt
	MOUNTS=()
	wait $pid || fail "status $?"
	PROCESSES=()
	cat log
}

# Files of another user.
look_at src
[ "$(grep -c 'access time' log)" = 1 ] || fail "one line says that times may change"

# The same on a file system that is read-only.
sum=$(find src -type f -exec sha256sum {} + | sort)
mount --bind src ro
mount -o remount,bind,ro ro
look_at ro
umount ro
[ ! -s log ] || fail "nothing to say: it keeps its times"
[ "$(find src -type f -exec sha256sum {} + | sort)" = "$sum" ] || fail "no byte is another"
