#!/bin/bash
# SPDX-License-Identifier: MIT
# locking=share reads an image that QEMU uses, and its writes show with the next open; locking=off
# neither checks nor takes locks.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires which qemu-storage-daemon

mkdir mnt
image disk.qcow2 4M "write -P 1 0 1M"
serve disk.qcow2 "$PWD/socket"
live() { # live COMMAND...: as the guest does
	qemu-io -f raw -c "$1" -c flush "nbd+unix:///disk?socket=$PWD/socket" >out 2>&1 ||
		{ cat out; fail "the guest can: $1"; }
}
byte() { dd if=mnt/disk.raw bs=1 skip="$1" count=1 status=none | xxd -p; }

refuses 3 'locking=share' disk.qcow2 mnt
for mode in share off; do
	mount_fs -o locking=$mode disk.qcow2 mnt
	live "write -P 2 0 64k"
	[ "$(byte 0)" = 02 ] || fail "$mode: what is written in place shows"
	live "write -P 3 2M 64k"
	[ "$(byte 2M)" = 03 ] || fail "$mode: what is newly allocated shows"
	exec 3<mnt/disk.raw
	live "write -P 4 0 64k"
	exec 3<&-
	[ "$(byte 0)" = 04 ] || fail "$mode: the machine could write meanwhile"
	live "write -z 2M 64k"
	unmount mnt
done
let_go
mount_fs -o locking=off disk.qcow2 mnt
exec 3<mnt/disk.raw
qio disk.qcow2 "write -P 9 0 512"
exec 3<&-
unmount mnt
