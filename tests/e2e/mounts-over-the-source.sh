#!/bin/bash
# SPDX-License-Identifier: MIT
# A folder may be mounted over itself, an image over itself, and over any other file, which
# then is the disk.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/lab
image src/disk.qcow2 1M "write -P 1 0 1M" "write -P 2 512k 3"
cp src/disk.qcow2 src/lab/x.qcow2
(cd src && overlay over.qcow2 disk.qcow2 qcow2 "write -P 3 0 3")
mkdir copy
cp -r src/. copy
mount_fs src src
[ "$(cd src && find . -mindepth 1 -printf '%P\n' | sort | xargs)" = \
	"disk.raw lab lab/x.raw over.raw" ] || fail "the folder shows its images"
shows_as src/disk.raw copy/disk.qcow2
shows_as src/over.raw copy/over.qcow2
unmount src
cmp src/disk.qcow2 copy/disk.qcow2 || fail "the images are back, unchanged"

for image in disk over; do
	qemu-img convert -f qcow2 -O raw src/$image.qcow2 want
	mount_fs src/$image.qcow2 src/$image.qcow2
	same src/$image.qcow2 want
	[ "$(stat -c %F src/$image.qcow2)" = "regular file" ] || fail "it is a file"
	fails_with Read-only dd if=/dev/zero of=src/$image.qcow2 conv=notrunc count=1
	unmount src/$image.qcow2
	cmp src/$image.qcow2 copy/$image.qcow2 || fail "it is as before"
done

touch disk.raw
mount_fs src/disk.qcow2 disk.raw
qemu-img compare -q -f raw -F qcow2 disk.raw src/disk.qcow2 || fail "a file is the disk"
exec 3<disk.raw
same /dev/fd/3 disk.raw
exec 3<&-
unmount disk.raw
[ ! -s disk.raw ] || fail "it is empty, as before"
