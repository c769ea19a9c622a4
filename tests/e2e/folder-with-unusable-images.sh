#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that cannot be used is listed with size 0, opening it is EIO, and the log says why,
# once; the others are not concerned.  When it has been mended it can be read.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src
image src/good.qcow2 1M "write -P 1 0 1M"
cp src/good.qcow2 src/future.qcow2
poke src/future.qcow2 72 0000000000010000
head -c 60 src/good.qcow2 >src/cut.qcow2
qemu-img create -q -u -f qcow2 -b missing.qcow2 -F qcow2 src/orphan.qcow2 1M
mount_fg log src mnt
[ "$(names mnt)" = "cut.raw future.raw good.raw orphan.raw" ] || fail "all are listed"
for name in future cut orphan; do
	[ "$(stat -c %s mnt/$name.raw)" = 0 ] || fail "$name has size 0"
	for _ in 1 2 3; do fails_with 'Input/output error' cat mnt/$name.raw; done
	[ "$(grep -c "^qcowfs: $name.qcow2: " log)" = 1 ] || { cat log; fail "$name: one line"; }
done
grep -q 'future.qcow2: .*feature' log || fail "the log says why"
grep -q 'orphan.qcow2: .*missing.qcow2' log || fail "the log says what is missing"
shows_as mnt/good.raw src/good.qcow2

cp src/good.qcow2 src/missing.qcow2
shows_as mnt/orphan.raw src/good.qcow2
cp src/good.qcow2 src/future.qcow2
until_true 3 cmp mnt/future.raw mnt/good.raw
rm src/missing.qcow2
fails_with 'Input/output error' cat mnt/orphan.raw
unmount mnt
