#!/bin/bash
# SPDX-License-Identifier: MIT
# An ordinary user partitions an image, makes a file system in a partition, and fills it, without an
# offset; a loop device over the partition shows the files.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

requires_user_mounts
requires which sfdisk
requires which mkfs.ext4
requires which fuse2fs
requires losetup -f
"$QCOWFS" --version | grep -q 'libblkid [0-9]' || skip "needs a build with libblkid"

mkdir mine mine/src mine/mnt mine/fs mine/files real
head -c 3000000 /dev/urandom >mine/files/noise
seq 100000 >mine/files/text
image mine/src/vm.qcow2 96M
chown -R 65534:65534 mine
cd mine

as_user "$QCOWFS" -o partitions,allow_root src mnt 2>err ||
	as_user "$QCOWFS" -o partitions src mnt || fail "it mounts"
MOUNTS+=("$PWD/mnt")
printf 'label: gpt\nsize=16M\nsize=60M\n' | as_user sfdisk -q --no-reread mnt/vm.raw
as_user test -s mnt/vm.p2.raw || fail "there is a second partition"
as_user mkfs.ext4 -q -d files mnt/vm.p2.raw
as_user mkfs.ext4 -q mnt/vm.p1.raw
as_user fuse2fs mnt/vm.p1.raw fs -o fakeroot || fail "fuse2fs mounts"
MOUNTS+=("$PWD/fs")
as_user cp files/text fs/copy
as_user cmp files/text fs/copy || fail "it is there"
as_user fusermount3 -u fs
until_true 10 as_user e2fsck -fn mnt/vm.p1.raw
as_user debugfs -R 'cat /copy' mnt/vm.p1.raw 2>/dev/null | cmp - files/text || fail "and stays there"
until_true 10 as_user fusermount3 -u mnt # fuse2fs has the partition open until it ends
cd ..

"$QCOWFS" -o partitions mine/src mine/mnt || fail "root mounts it"
MOUNTS+=("$PWD/mine/mnt")
for direct in off on; do
	LOOP=$(losetup -f --show --direct-io=$direct mine/mnt/vm.p2.raw)
	LOOPS=("$LOOP")
	mount "$LOOP" real
	cmp mine/files/noise real/noise || fail "the files are there"
	cp mine/files/text "real/$direct"
	umount real
	losetup -d "$LOOP"
	LOOPS=()
done
until_true 10 e2fsck -fn mine/mnt/vm.p2.raw
debugfs -R 'cat /on' mine/mnt/vm.p2.raw 2>/dev/null | cmp - mine/files/text || fail "what the loop device wrote"
until_true 10 unmount mine/mnt
qemu-img check -q mine/src/vm.qcow2 || fail "a sound image"
