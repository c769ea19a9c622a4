#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that may not be read any more stays listed, with size 0, and opening it fails with EACCES.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_user_mounts

mkdir -p home/mnt home/src
cp "$QCOWFS" home/qcowfs # whatever the modes of the folders above the build are
image home/src/a.qcow2 1M "write -P 1 0 1M"
image home/src/b.qcow2 1M
chown -R 65534:65534 home
cd home
as_user ./qcowfs -r src mnt || fail "it mounts"
MOUNTS+=("$PWD/mnt")
[ "$(as_user ls mnt | xargs)" = "a.raw b.raw" ] || fail "both are there"
chmod 000 src/a.qcow2
is_empty() { as_user ls -l mnt | grep -q ' 0 [^ ]* [^ ]* [^ ]* a.raw$'; }
until_true 4 is_empty
as_user ls mnt | grep -q a.raw || fail "it is listed"
fails_with 'Permission denied' as_user cat mnt/a.raw
touch src/c # another scan
[ "$(as_user ls mnt | xargs)" = "a.raw b.raw" ] || fail "both are there, still"
chmod 600 src/a.qcow2
is_back() { [ "$(as_user head -c 1 mnt/a.raw | xxd -p)" = 01 ]; }
until_true 4 is_back
unmount "$PWD/mnt"
