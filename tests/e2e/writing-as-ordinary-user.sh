#!/bin/bash
# SPDX-License-Identifier: MIT
# A user writes to his own image; to one that he may only read, with EACCES or EROFS, not.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_user_mounts

mkdir -p home/src home/mnt
cp "$QCOWFS" home/qcowfs # whatever the modes of the folders above the build are
for i in own readonly foreign; do image home/src/$i.qcow2 1M "write -P 1 0 1M"; done
chmod 444 home/src/readonly.qcow2
chown -R 65534:65534 home
chown 0:0 home/src/foreign.qcow2
chmod 644 home/src/foreign.qcow2
sha256sum home/src/readonly.qcow2 home/src/foreign.qcow2 >want
cd home
zero() { as_user dd if=/dev/zero "of=$1" bs=512 count=1 conv=notrunc status=none; }
as_user ./qcowfs "$PWD/src" mnt || fail "it mounts"
MOUNTS+=("$PWD/mnt")
zero mnt/own.raw || fail "one's own is written"
for i in readonly foreign; do
	fails_with 'Permission denied|Read-only file system' zero mnt/$i.raw
	fails_with 'Permission denied|Read-only file system' as_user truncate -s 2M mnt/$i.raw
	as_user cmp -n 1048064 -i 512 mnt/$i.raw mnt/own.raw || fail "$i is read"
done
unmount mnt
as_user ./qcowfs "$PWD/src/foreign.qcow2" mnt >../out 2>&1 || fail "it mounts"
MOUNTS+=("$PWD/mnt")
fails_with 'Permission denied|Read-only file system' zero mnt/foreign.raw
as_user cat mnt/foreign.raw >/dev/null || fail "it is read"
unmount mnt
cd ..
grep -qi 'read-only' out || fail "it says that it is read-only: $(cat out)"
sha256sum -c --quiet want || fail "they are as they were"
until_true 10 qemu-io -f qcow2 -c 'read -P 0 0 512' -c 'read -P 1 512 512' home/src/own.qcow2
sound home/src/own.qcow2
