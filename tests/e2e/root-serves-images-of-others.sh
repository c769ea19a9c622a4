#!/bin/bash
# SPDX-License-Identifier: MIT
# Root's daemon, which has kept one capability, reads and writes images that only their owners
# may, in folders that only their owners may enter; and other users get what modes let them.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
as() { setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"; }
requires as 65534 test -x "$TEST_TMP"

mkdir -p src/private mnt
for i in src/alice src/private/alice src/bob; do image $i.qcow2 1M "write -P 1 0 1M"; done
chmod 600 src/*.qcow2 src/private/*.qcow2
chown -R 1001:1001 src/alice.qcow2 src/private
chown 1002:1002 src/bob.qcow2
chmod 700 src/private
mount_fs src mnt
for i in alice private/alice bob; do shows_as mnt/$i.raw src/$i.qcow2; done
fails_with 'Permission denied' as 1001 cat mnt/alice.raw # without allow_other
fails_with 'Permission denied' as 1001 ls mnt
unmount mnt

"$QCOWFS" -o allow_other src mnt
MOUNTS+=("$PWD/mnt")
zero() { dd if=/dev/zero of="$1" bs=4k count=1 conv=notrunc,fsync status=none; }
for i in alice private/alice; do
	as 1001 bash -c "$(declare -f zero); zero mnt/$i.raw" || fail "alice writes $i"
	as 1001 head -c 1 mnt/$i.raw >/dev/null || fail "and reads"
	fails_with 'Permission denied' as 1002 head -c 1 mnt/$i.raw
	fails_with 'Permission denied' as 1002 truncate -s 2M mnt/$i.raw
done
fails_with 'Permission denied' as 1001 head -c 1 mnt/bob.raw
fails_with 'Permission denied' as 1001 bash -c "$(declare -f zero); zero mnt/bob.raw"
fails_with 'Permission denied' as 1002 ls mnt/private
zero mnt/bob.raw || fail "root writes"
unmount mnt
for i in src/alice src/private/alice src/bob; do
	until_true 10 qemu-io -f qcow2 -c 'read -P 0 0 4k' -c 'read -P 1 4k 4k' $i.qcow2
	qemu-img check -q $i.qcow2 || fail "$i is sound"
done
[ "$(stat -c %u:%a src/alice.qcow2)" = 1001:600 ] || fail "it is alice's, still"
