#!/bin/bash
# SPDX-License-Identifier: MIT
# Images and folders that appear in the source, or go from it, do so in the mount; a name once
# given stays.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src
image one.qcow2 1M "write -P 1 0 1M"
image two.qcow2 2M "write -P 2 0 2M"
gone() { ! stat "$1"; }
mount_fs src mnt
[ -z "$(ls -A mnt)" ] || fail "nothing there"
cp one.qcow2 src/disk.qcow2
[ "$(ls mnt)" = disk.raw ] || fail "it came"
shows_as mnt/disk.raw src/disk.qcow2
mkdir -p src/lab/deep
cp two.qcow2 src/lab/deep/x.qcow2
shows_as mnt/lab/deep/x.raw src/lab/deep/x.qcow2

# Without a listing, by name alone.
cp two.qcow2 src/late.qcow2
until_true 3 test -e mnt/late.raw
same <(head -c 9 mnt/late.raw) <(printf '\2\2\2\2\2\2\2\2\2')

# A second one of that name gets another; the first keeps its own, though it is later in order.
cp two.qcow2 src/disk.cow
[ "$(names mnt)" = "disk.cow.raw disk.raw lab late.raw" ] || fail "two of a name: $(names mnt)"
shows_as mnt/disk.raw one.qcow2
shows_as mnt/disk.cow.raw two.qcow2

rm src/disk.qcow2
until_true 3 gone mnt/disk.raw
[ "$(names mnt)" = "disk.cow.raw lab late.raw" ] || fail "it went: $(names mnt)"
shows_as mnt/disk.cow.raw two.qcow2
cp two.qcow2 src/disk.qcow2
[ "$(names mnt)" = "disk.cow.raw disk.raw lab late.raw" ] || fail "it is back: $(names mnt)"
shows_as mnt/disk.raw two.qcow2

rm -r src/lab
until_true 3 gone mnt/lab
[ "$(names mnt)" = "disk.cow.raw disk.raw late.raw" ] || fail "the folder went"

# An open file can be read after the image is deleted.
exec 3<mnt/late.raw
rm src/late.qcow2
raw_of two.qcow2 >two.bin
cmp - two.bin <&3 || fail "a deleted image is read on"
exec 3<&-

# A file may become an image, and the other way round.
echo nothing >src/new.qcow2
[ ! -e mnt/new.raw ] || fail "no image"
cp one.qcow2 src/new.qcow2
until_true 3 test -e mnt/new.raw
echo nothing >src/new.qcow2
ls mnt >/dev/null
until_true 3 gone mnt/new.raw
unmount mnt
