#!/bin/bash
# SPDX-License-Identifier: MIT
# A mountpoint that is a file has no room for views, and that is said.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

image disk.qcow2 1M
touch disk.raw
mkdir mnt
kinds='snapshots chain info forensic'
if "$QCOWFS" --version | grep -q 'libblkid [0-9]'; then kinds+=' partitions'; fi
for o in $kinds; do
	refuses 1 "disk.raw: .*$o" -o $o disk.qcow2 disk.raw
done
status=0
"$QCOWFS" -o rw,forensic disk.qcow2 mnt 2>err || status=$?
[ $status = 1 ] && grep -q '^qcowfs: rw: .*forensic' err || { cat err; fail "rw is not forensic: $status"; }
status=0
"$QCOWFS" -o forensic,rw disk.qcow2 mnt 2>err || status=$?
[ $status = 1 ] || fail "in any order"
