#!/bin/bash
# SPDX-License-Identifier: MIT
# A snapshot that is taken while the file system in the disk is frozen has all of its files, and can
# be mounted as it is; so can one after a sync, without its journal.
# shellcheck source=writing.sh
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires losetup -f
requires which mkfs.ext4
requires which fsfreeze

mkdir src mnt root old
image src/disk.qcow2 64M
mount_rw log -o snapshots src mnt
attach mnt/disk.raw
mkfs.ext4 -q "$LOOP"
mount "$LOOP" root
MOUNTS+=("$PWD/root")

noise root/a 3000000
cp root/a a
fsfreeze --freeze root
mkdir mnt/disk.snapshots/frozen
fsfreeze --unfreeze root
noise root/b 2000000
cp root/b b
rm root/a
sync -f root
mkdir mnt/disk.snapshots/synced
rm root/b
noise root/c 1000000
umount root
detach

holds() { # holds SNAPSHOT OPTIONS FILE ABSENT
	attach --read-only "mnt/disk.snapshots/$1/disk.raw"
	mount -o "$2" "$LOOP" old
	cmp "old/$3" "$3" || fail "$1 has $3, whole"
	[ ! -e "old/$4" ] || fail "$1 has no $4"
	umount old
	detach
}
holds frozen ro a b
holds synced ro,noload b c
until_true 10 rmdir mnt/disk.snapshots/frozen
unmount_rw mnt
sound src/disk.qcow2
