#!/bin/bash
# SPDX-License-Identifier: MIT
# mount(8) mounts it as fuse.qcowfs, with the options that fstab may have.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
requires test -x /sbin/mount.fuse -o -x /sbin/mount.fuse3
own_mounts # so that qcowfs can be installed for this test alone
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

# Twice the same table mounts once.
sed -i 's/noauto,//' fstab
mount -T fstab -a && mount -T fstab -a || fail "mount -a"
[ "$(grep -c "$PWD/mnt fuse" /proc/mounts)" = 1 ] || fail "it is mounted once"
umount mnt

# Its status and its one line are those of qcowfs.
says() { # says STATUS REGEX [OPTIONS] SOURCE
	local want=$1 regex=$2 status=0
	shift 2
	mount -t fuse.qcowfs -o "${2:-ro}" "$1" "$PWD/mnt" >said 2>&1 || status=$?
	cat said
	[ $status = "$want" ] || fail "status $status is $want"
	grep -Eq "^qcowfs: .*$regex" said || fail "it says $regex"
	[ "$(wc -l <said)" = 1 ] || fail "in one line"
}
says 1 'bogus: unknown option' "$PWD/src" ro,bogus
says 2 'none.qcow2: No such file' "$PWD/none.qcow2"
hold "$PWD/src/disk.qcow2"
says 3 'disk.qcow2: locked' "$PWD/src/disk.qcow2"
let_go
echo "$PWD/none.qcow2 $PWD/mnt fuse.qcowfs ro,nofail 0 0" >fstab
mount -T fstab -a 2>said || :
grep -q '^qcowfs: .*none.qcow2' said || fail "it says why, with nofail, too"

# umount(8) and fusermount3 end the daemon.
for how in umount "fusermount3 -u"; do
	mount -t fuse.qcowfs -o "pid-file=$PWD/pid" "$PWD/src" "$PWD/mnt" || fail "it mounts"
	[ -s pid ] || fail "it is there"
	$how mnt || fail "$how"
	until_true 10 test ! -e pid
done
