#!/bin/bash
# SPDX-License-Identifier: MIT
# An ordinary user reads and writes encrypted images, though others of his processes may not look
# into the daemon; and with no memory to lock, after one word about that.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
. "$TEST_LIB/encrypted.sh"
requires_user_mounts

mkdir -p home/mnt home/src
cp "$QCOWFS" home/qcowfs # whatever the modes of the folders above the build are
encrypted home/disk.qcow2 qcow2 "$LUKS" 1M 'write -P 1 0 1M'
cp home/disk.qcow2 home/src
cp key home/key
chown -R 65534:65534 home
chmod 600 home/key
cd home
ones() { [ "$(as_user cat "$1" | tr -d '\1' | wc -c)" = 0 ]; }

as_user ./qcowfs -o rw,key-file=key disk.qcow2 mnt || fail "it mounts"
MOUNTS+=("$PWD/mnt")
for _ in 1 2; do ones mnt/disk.raw || fail "it is read"; done
printf two | as_user dd of=mnt/disk.raw bs=1 seek=1000 conv=notrunc status=none || fail "it is written"
as_user ls -l /proc/self/fd >/dev/null
for p in /proc/[0-9]*; do
	if [ "$(tr '\0' ' ' <"$p/cmdline" 2>/dev/null)" = "./qcowfs -o rw,key-file=key disk.qcow2 mnt " ]; then
		if as_user head -c 1 "$p/mem" >/dev/null 2>&1 || as_user cat "$p/maps" >/dev/null 2>&1; then
			fail "no other process of his looks into it"
		fi
		found=yes
	fi
done
[ "${found:-}" = yes ] || fail "there is a daemon"
as_user fusermount3 -u mnt || fail "it is unmounted"
MOUNTS=()
encrypted_raw disk.qcow2 qcow2 ../raw
[ "$(dd if=../raw bs=1 skip=999 count=5 status=none | xxd -p)" = 0174776f01 ] || fail "QEMU reads what was written"

# A folder, and no memory to lock.
(
	ulimit -l 0
	as_user ./qcowfs -f -o ro,key-file=key src mnt 2>../log
) &
PROCESSES+=($!)
until_true 20 is_mounted mnt
MOUNTS+=("$PWD/mnt")
for _ in 1 2; do ones mnt/disk.raw || fail "it is read"; done
as_user fusermount3 -u mnt || fail "it is unmounted"
MOUNTS=()
wait
cat ../log
[ -n "${TEST_SANITIZER:-}" ] || # they lock nothing
	[ "$(grep -c 'swapped' ../log)" = 1 ] || fail "one line says that the limit is too low"
