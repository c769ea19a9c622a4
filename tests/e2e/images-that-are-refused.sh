#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that is missing, none, cut off, or of the future gives status 2 and says which.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir mnt
image good.qcow2 1M "write -P 1 0 1M"
FMT=qcow image good.qcow 1M
refuses 2 'missing.qcow2: No such file' missing.qcow2 mnt
refuses 2 'No such file' nowhere/missing.qcow2 mnt
noise plain.qcow2 100000
refuses 2 'not a QCOW image' plain.qcow2 mnt
: >empty.qcow2
refuses 2 'not a QCOW image' empty.qcow2 mnt
for n in 4 8 47 71 103; do
	head -c $n good.qcow2 >cut.qcow2
	refuses 2 'header' cut.qcow2 mnt
done
head -c 40 good.qcow >cut.qcow
refuses 2 'header' cut.qcow mnt
head -c 100000 good.qcow2 >cut.qcow2
refuses 2 'end of the file' cut.qcow2 mnt

patched() { # patched OFFSET HEX...
	cp good.qcow2 bad.qcow2
	while [ $# != 0 ]; do
		poke bad.qcow2 "$1" "$2"
		shift 2
	done
}
patched 4 00000004
refuses 2 'version 4' bad.qcow2 mnt
patched 72 8000000000000000
refuses 2 'feature.*0x8000000000000000' bad.qcow2 mnt
# The table of names: the record of the dirty bit becomes that of bit 5.
patched 72 0000000000000020 "$(($(grep -abo 'dirty bit' good.qcow2 | head -1 | cut -d: -f1) - 1))" 05
refuses 2 'feature.*dirty bit' bad.qcow2 mnt
patched 20 00000008
refuses 2 'cluster_bits' bad.qcow2 mnt
patched 20 00000016
refuses 2 'cluster_bits' bad.qcow2 mnt
patched 40 0000000000000200
refuses 2 'L1 table' bad.qcow2 mnt
patched 32 00000003
refuses 2 'encryption' bad.qcow2 mnt
patched 104 01
refuses 2 'compression' bad.qcow2 mnt

# Not so: an image that is marked dirty, or corrupt, can be read.
for bit in 01 02 03; do
	patched 79 $bit
	mount_fs bad.qcow2 mnt
	[ "$(tr -d '\1' <mnt/bad.raw | wc -c)" = 0 ] || fail "it is read"
	unmount mnt
	[ "$(xxd -s 79 -l 1 -p bad.qcow2)" = $bit ] || fail "the bit stays"
done
