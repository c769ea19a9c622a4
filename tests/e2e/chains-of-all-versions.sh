#!/bin/bash
# SPDX-License-Identifier: MIT
# Images of all versions may stand on each other, with a raw one at the bottom; names are
# relative to the image that has them, or absolute.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/sub
cd src
noise raw.bin 1500000
FMT=qcow qemu-img create -q -f qcow -b raw.bin -F raw one.qcow
FMT=qcow qio one.qcow "write -P 1 10k 10k"
OPTS=compat=0.10,cluster_size=1k overlay two.qcow2 one.qcow qcow "write -P 2 15k 10k"
OPTS=extended_l2=on overlay three.qcow2 "$PWD/two.qcow2" qcow2 "write -P 3 20k 10k"
FMT=qcow qemu-img create -q -f qcow -b three.qcow2 -F qcow2 four.qcow
FMT=qcow qio four.qcow "write -P 4 25k 10k"
overlay five.qcow2 four.qcow qcow "write -P 5 30k 10k"
cd ..
mkdir elsewhere
mount_fs -o backing=samedir src mnt
for name in two three; do shows_as mnt/$name.raw src/$name.qcow2; done
FMT=qcow shows_as mnt/one.raw src/one.qcow
# Version 1 does not declare the format of its backing file.
fails_with 'Input/output error' cat mnt/four.raw
fails_with 'Input/output error' cat mnt/five.raw
unmount mnt
mount_fs -o backing=any src mnt
FMT=qcow shows_as mnt/four.raw src/four.qcow
unmount mnt
cd elsewhere # not the folder of the image
mount_fs -o backing=any ../src/five.qcow2 "$TEST_TMP/mnt"
cd ..
shows_as mnt/five.raw src/five.qcow2
unmount mnt
