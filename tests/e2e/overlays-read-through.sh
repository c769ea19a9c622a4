#!/bin/bash
# SPDX-License-Identifier: MIT
# Unallocated clusters of an overlay are read from its backing file, to the byte; past the end of
# the backing file there are zeros.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

noise base.bin 2000000 # ends inside a sector
overlay middle.qcow2 base.bin raw "write -P 1 100k 3" "write -P 2 1000k 100k"
OPTS=cluster_size=4k overlay top.qcow2 middle.qcow2 qcow2 "write -P 3 102401 1"
qemu-img resize -q -f qcow2 top.qcow2 4M
for image in middle top; do
	mount_fs $image.qcow2 mnt
	shows_as mnt/$image.raw $image.qcow2
	unmount mnt
done
mount_fs top.qcow2 mnt
cmp -n 100000 mnt/top.raw base.bin || fail "the start comes from the bottom"
[ "$(dd if=mnt/top.raw bs=1 skip=102400 count=3 status=none | xxd -p)" = 010301 ] ||
	fail "three layers meet at 100k"
[ -z "$(tail -c +2000001 mnt/top.raw | tr -d '\0')" ] || fail "zeros past the end of the bottom"
unmount mnt
