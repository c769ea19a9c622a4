#!/bin/bash
# SPDX-License-Identifier: MIT
# A file system that was not unmounted is mounted for reading and writing over cow: the
# journal is replayed, and the image stays as it is.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires which mkfs.ext4
requires losetup -f
grep -qw ext4 /proc/filesystems || requires modprobe ext4

at_end() {
	umount -q fs || :
	umount -q frozen || :
}
trap 'at_end; at_exit' EXIT

mkdir fs frozen
image dirty.qcow2 64M
mount_rw log dirty.qcow2 mnt
attach mnt/dirty.raw
mkfs.ext4 -q "$LOOP"
mount "$LOOP" fs
noise fs/noise 5000000
sync fs/noise
sum=$(sha256sum <fs/noise)
echo "in the journal" >fs/word
sync -f fs
cp --sparse=always mnt/dirty.raw copy.raw # as a crash would leave it
umount fs
detach
unmount_rw mnt
qemu-img convert -f raw -O qcow2 copy.raw evidence.qcow2
dumpe2fs -h copy.raw 2>/dev/null | grep -q needs_recovery || fail "the copy has a journal to replay"

chmod 444 evidence.qcow2
sha256sum evidence.qcow2 >want
stat -c '%x %y %z' evidence.qcow2 >times.before

look() { # look OPTION: mounts it, changes it, and finds that changed
	mount_with "$1" log evidence.qcow2 mnt
	attach mnt/evidence.raw
	mount "$LOOP" fs
	[ "$(sha256sum <fs/noise)" = "$sum" ] || fail "$1: the file is there"
	[ "$(cat fs/word)" = "in the journal" ] || fail "$1: what the journal had"
	[ ! -e fs/mine ] || fail "$1: nothing of before"
	noise fs/mine 3000000
	mkdir fs/folder
	umount fs
	detach
	attach mnt/evidence.raw # closed, and opened again
	mount "$LOOP" fs
	[ -d fs/folder ] || fail "$1: what was written is still there"
	[ "$(stat -c %s fs/mine)" = 3000000 ] || fail "$1: and all of it"
	umount fs
	fsck.ext4 -fn "$LOOP" >fsck.out 2>&1 || fail "$1: the file system is sound: $(cat fsck.out)"
	detach
	unmount_rw mnt
	sha256sum -c --quiet want || fail "$1: the image is as it was"
	stat -c '%x %y %z' evidence.qcow2 >times.now
}

look forensic,cow
diff times.before times.now || fail "and its times, also that of access"
look cow
look "cow=$PWD/over.qcow2"
sound over.qcow2
qemu-img convert -f qcow2 -O raw over.qcow2 merged.raw
fsck.ext4 -fn merged.raw >fsck.out 2>&1 || fail "QEMU finds it sound: $(cat fsck.out)"
mount -o loop,ro merged.raw frozen
[ "$(stat -c %s frozen/mine)" = 3000000 ] || fail "QEMU finds what was written"
umount frozen

# A daemon that is killed leaves FILE sound.
mount_with "cow=$PWD/over.qcow2" log evidence.qcow2 mnt
dd if=/dev/urandom of=mnt/evidence.raw bs=64k seek=700 count=50 conv=notrunc,fsync status=none
dd if=mnt/evidence.raw of=part bs=64k skip=700 count=50 status=none
kill -9 "$DAEMON"
wait "$DAEMON" 2>/dev/null || :
unmount mnt || umount -l mnt
qemu-img check -q over.qcow2 || [ $? = 3 ] || fail "it has leaks at most"
mount_with "cow=$PWD/over.qcow2" log evidence.qcow2 mnt
dd if=mnt/evidence.raw of=part.now bs=64k skip=700 count=50 status=none
same part part.now
unmount_rw mnt
