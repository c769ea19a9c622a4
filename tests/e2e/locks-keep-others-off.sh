#!/bin/bash
# SPDX-License-Identifier: MIT
# While one of our files is open QEMU cannot write to its image and backing files, but can read
# them; before, and after the last close, it can write.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src
image src/base.qcow2 1M "write -P 1 0 1M"
(cd src && overlay over.qcow2 base.qcow2 qcow2)
try() { qemu-io -f qcow2 -c 'write -P 2 0 512' "src/$1.qcow2"; }

check_locks() { # with $MNT/over.raw shown
	local name
	for name in over base; do try $name >out || { cat out; fail "free: $name"; }; done
	exec 3<"$MNT/over.raw" 4<"$MNT/over.raw"
	for name in over base; do fails_with 'lock' try $name; done
	exec 3<&-
	for name in over base; do fails_with 'lock' try $name; done
	qemu-img info -f qcow2 src/over.qcow2 >/dev/null || fail "it can be read"
	qemu-img compare -q -f raw -F qcow2 "$MNT/over.raw" src/over.qcow2 || fail "as one"
	exec 4<&-
	for name in over base; do until_true 5 try $name; done
}

MNT=mnt
mount_fs src mnt
check_locks
unmount mnt
mount_fs src/over.qcow2 mnt
check_locks
unmount mnt
