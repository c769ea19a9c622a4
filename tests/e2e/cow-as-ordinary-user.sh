#!/bin/bash
# SPDX-License-Identifier: MIT
# A user writes over images that he may only read, in a folder that he may only read.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_user_mounts

mkdir -p home/src home/mnt home/tmp
cp "$QCOWFS" home/qcowfs # whatever the modes of the folders above the build are
image home/src/foreign.qcow2 1M "write -P 1 0 1M"
image home/src/base.qcow2 1M "write -P 2 0 1M"
overlay home/src/top.qcow2 base.qcow2 qcow2
chmod 444 home/src/*
chmod 555 home/src
chown -R 65534:65534 home
chown -R 0:0 home/src
sha256sum home/src/* >want
cd home
zero() { as_user dd if=/dev/zero "of=$1" bs=512 count=1 conv=notrunc status=none; }
is_written() { # is_written RAW PATTERN
	(head -c 512 /dev/zero; head -c 1048064 /dev/zero | tr '\0' "$2") | as_user cmp - "$1" ||
		fail "$1 has what was written"
}

as_user env "TMPDIR=$PWD/tmp" ./qcowfs -o cow "$PWD/src" mnt || fail "it mounts"
MOUNTS+=("$PWD/mnt")
zero mnt/foreign.raw || fail "it is written"
zero mnt/top.raw || fail "a chain, too"
is_written mnt/foreign.raw '\1'
is_written mnt/top.raw '\2'
unmount mnt
as_user ./qcowfs -o "cow=$PWD/tmp/over" "$PWD/src/top.qcow2" mnt >../out 2>&1 || fail "it mounts"
MOUNTS+=("$PWD/mnt")
zero mnt/top.raw || fail "it is written"
unmount mnt
[ ! -s ../out ] || fail "nothing to say: $(cat ../out)"
until_true 10 as_user qemu-io -f qcow2 -c 'read -P 0 0 512' -c 'read -P 2 512 512' tmp/over
[ "$(stat -c %u:%a tmp/over)" = 65534:644 ] || fail "FILE is the user's: $(stat -c %u:%a tmp/over)"
sound tmp/over
chmod 444 tmp/over
status=0
as_user ./qcowfs -o "cow=$PWD/tmp/over" "$PWD/src/top.qcow2" mnt >../out 2>&1 || status=$?
[ $status = 2 ] || fail "a FILE that cannot be written: status 2: $status"
grep -q 'cannot open its overlay .*tmp/over for writing: Permission denied' ../out || fail "it says so: $(cat ../out)"
cd ..
sha256sum -c --quiet want || fail "they are as they were"
