#!/bin/bash
# SPDX-License-Identifier: MIT
# mount(8) mounts it as fuse.qcowfs, with the options that fstab may have.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
requires test -x /sbin/mount.fuse -o -x /sbin/mount.fuse3
if [ -z "${UNSHARED:-}" ]; then # so that qcowfs can be installed for this test alone
	requires unshare --mount true
	UNSHARED=1 exec unshare --mount --propagation private "$0"
fi
requires mount -t tmpfs none /usr/local/bin
cp "$QCOWFS" /usr/local/bin/qcowfs

mkdir src mnt
image src/disk.qcow2 1M "write -P 1 0 1M"
mount -t fuse.qcowfs -o ro,nofail,noauto,_netdev,x-foo,x-systemd.automount,dev,suid,noatime \
	"$PWD/src" "$PWD/mnt" || fail "mount -t fuse.qcowfs"
grep -q "^$PWD/src $PWD/mnt fuse.qcowfs ro" /proc/mounts || fail "it is in the table"
shows_as mnt/disk.raw src/disk.qcow2
umount mnt

echo "$PWD/src $PWD/mnt fuse.qcowfs ro,allow_other,nofail,noauto,user,x-gvfs-show 0 0" >fstab
mount -T fstab mnt || fail "mount by fstab"
grep "^$PWD/src $PWD/mnt fuse.qcowfs ro" /proc/mounts | grep -q allow_other || fail "with allow_other"
shows_as mnt/disk.raw src/disk.qcow2
umount mnt
