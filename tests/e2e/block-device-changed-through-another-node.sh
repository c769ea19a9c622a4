#!/bin/bash
# SPDX-License-Identifier: MIT
# A block device has times on each of its nodes, and a write through one node does not move those
# of another.  What the kernel has cached of the disk is read again at each open.
. "${TEST_LIB:-$(dirname "$0")}/loop.sh"
requires_root
requires losetup -f

image disk.qcow2 1M "write -P 1 0 1M"
truncate -s 4M disk.qcow2
attach disk.qcow2
mknod node b "$((0x$(stat -c %t "$LOOP")))" "$((0x$(stat -c %T "$LOOP")))"
sleep 3 # the times of the node are older than any tick
mount_fs "$LOOP" mnt
raw=mnt/$(basename "$LOOP").raw
for value in 1 2 3; do
	python3 - "$raw" "$value" <<-'END' || fail "the disk has the bytes of write $value"
		import sys
		sys.exit(open(sys.argv[1], 'rb').read() != bytes([int(sys.argv[2])]) * 1048576)
	END
	qemu-io -f qcow2 -c "write -P $((value + 1)) 0 1M" node >/dev/null
done
