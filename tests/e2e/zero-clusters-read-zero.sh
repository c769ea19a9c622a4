#!/bin/bash
# SPDX-License-Identifier: MIT
# A cluster with the zero flag reads as zeros: over data of the backing file, over its
# own data, and over nothing.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

image base.qcow2 1M "write -P 0xaa 0 1M"
overlay disk.qcow2 base.qcow2 qcow2 "write -P 0xbb 64k 128k" \
	"write -z 128k 64k" "write -z -u 256k 64k" "write -z 384k 64k" "discard 512k 64k"
image alone.qcow2 1M "write -P 0xcc 0 128k" "write -z 0 64k" "write -z 512k 64k"
mkdir src
mv ./*.qcow2 src
mount_fs src mnt
shows_as mnt/disk.raw src/disk.qcow2
shows_as mnt/alone.raw src/alone.qcow2
for at in 128 256 384 512; do
	[ -z "$(dd if=mnt/disk.raw bs=64k skip=$((at / 64)) count=1 status=none | tr -d '\0')" ] ||
		fail "zeros at ${at}k"
done
[ "$(dd if=mnt/disk.raw bs=1 skip=64k count=1 status=none | xxd -p)" = bb ] || fail "bb at 64k"
[ "$(head -c 1 mnt/disk.raw | xxd -p)" = aa ] || fail "aa at 0"
unmount mnt
