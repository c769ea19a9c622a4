#!/bin/bash
# SPDX-License-Identifier: MIT
# mount -t qcowfs and fstab work as for any file system, with the letters that mount(8) gives its
# helpers; drop_privileges leaves the daemon without root's rights; remount is refused with a reason.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
own_mounts # so that the helpers can be installed for this test alone

mkdir src mnt real sbin
mount --bind /usr/sbin real
ln -s "$PWD"/real/* sbin/
rm -f sbin/mount.qcowfs sbin/mount.fuse.qcowfs
mount --bind sbin /usr/sbin
[ /sbin/mount -ef /usr/sbin/mount ] || mount --bind sbin /sbin
cp "$QCOWFS" qcowfs
chmod 755 . qcowfs
for name in mount.qcowfs mount.fuse.qcowfs; do ln -s "$PWD/qcowfs" /usr/sbin/$name; done
image src/disk.qcow2 1M "write -P 1 0 1M"
line() { grep "^$PWD/src $PWD/mnt fuse.qcowfs " /proc/mounts || { grep fuse /proc/mounts >&2; fail "it is in the table"; }; }

for type in qcowfs fuse.qcowfs; do
	mount -t $type -o ro,nofail,_netdev,x-foo "$PWD/src" mnt || fail "mount -t $type"
	line | grep -q ' ro,' || fail "read-only"
	shows_as mnt/disk.raw src/disk.qcow2
	umount mnt
	echo "$PWD/src $PWD/mnt $type ro,noauto,user,allow_other 0 0" >fstab
	mount -T fstab mnt || fail "fstab with $type"
	umount mnt
done

# The letters: no mtab, verbose, sloppy, fake.
mount -t qcowfs -n -v -s -o ro,unheard-of,also=this "$PWD/src" mnt >out || fail "-n -v -s"
umount mnt
mount -t qcowfs -o ro,unheard-of "$PWD/src" mnt 2>err && fail "without -s an unknown option is an error"
grep -q '^qcowfs: unheard-of: unknown option' err || fail "which names it: $(cat err)"
mount.qcowfs "$PWD/src" "$PWD/mnt" -f -n -o ro || fail "-f"
if is_mounted mnt; then fail "-f mounts nothing"; fi
status=0
mount.qcowfs "$PWD/none.qcow2" "$PWD/mnt" -o ro -t qcowfs 2>err || status=$?
[ $status = 2 ] || fail "the status is that of qcowfs: $status"
unshare --mount --propagation private sleep 600000 &
PROCESSES+=($!)
ns() { [ "$(readlink /proc/$!/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]; }
until_true 10 ns
mount.qcowfs "$PWD/src" "$PWD/mnt" -N "/proc/$!/ns/mnt" -o "ro,pid-file=$PWD/pid" || fail "-N"
if is_mounted mnt; then fail "it is mounted in the other namespace only"; fi
grep -q "$PWD/mnt fuse.qcowfs" "/proc/$!/mounts" || fail "it is mounted there"
kill "$(cat pid)"
until_true 20 test ! -e pid

# A mount cannot be changed.
mount -t qcowfs -o rw "$PWD/src" mnt
for how in ro rw; do
	status=0
	mount.qcowfs "$PWD/src" "$PWD/mnt" -o remount,$how 2>err || status=$?
	[ $status = 1 ] || fail "remount: status $status"
	grep -q '^qcowfs: remount: a mount cannot be changed (unmount it, and mount it again' err || fail "$(cat err)"
done
line | grep -q ' rw,' || fail "and it is as it was"
umount mnt

# The daemon never has root's rights.
if [ -x /usr/sbin/mount.fuse3 ]; then
	mount -t qcowfs -o "ro,drop_privileges,pid-file=$PWD/pid" "$PWD/src" mnt || fail "drop_privileges"
	line >/dev/null || true
	grep -q "^CapEff:	0*$" "/proc/$(cat pid)/status" || fail "it has no capability"
	grep -q "^CapPrm:	0*$" "/proc/$(cat pid)/status" || fail "and can get none"
	shows_as mnt/disk.raw src/disk.qcow2
	umount mnt
fi
