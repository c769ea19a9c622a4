#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that is its own backing file, by whatever detour, is refused at once.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src mnt
cd src
image seed.qcow2 1M
for pair in self:self a:b b:c c:a; do
	qemu-img create -q -u -f qcow2 -b "${pair#*:}.qcow2" -F qcow2 new 1M
	mv new "${pair%:*}.qcow2"
done
ln -s link.qcow2 other.qcow2
qemu-img create -q -u -f qcow2 -b other.qcow2 -F qcow2 link.qcow2 1M
qemu-img create -q -u -f qcow2 -b hard.qcow2 -F qcow2 same.qcow2 1M
ln same.qcow2 hard.qcow2
cd ..
for name in self a link same; do
	refuses 2 'loop' src/$name.qcow2 mnt
	refuses 2 'loop' -o backing=any src/$name.qcow2 mnt
done
mount_fs src mnt
[ "$(stat -c %s mnt/self.raw)" = 0 ] || fail "the size of a circle is 0"
fails_with 'Input/output error' cat mnt/b.raw
unmount mnt
