#!/bin/bash
# SPDX-License-Identifier: MIT
# Any user may mount images of his own, read them, and unmount them; root's are not his.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_user_mounts

mkdir home
cp "$QCOWFS" home/qcowfs # whatever the modes of the folders above the build are
image home/disk.qcow2 1M "write -P 1 0 1M"
qemu-img convert -f qcow2 -O raw home/disk.qcow2 want
chown -R 65534:65534 home
mkdir home/mnt
chown 65534 home/mnt
cd home
as_user ./qcowfs -o ro "$PWD/disk.qcow2" mnt || fail "it mounts"
MOUNTS+=("$PWD/mnt")
as_user cmp mnt/disk.raw ../want || fail "it is read"
grep "^$PWD/disk.qcow2 $PWD/mnt fuse.qcowfs ro,nosuid,nodev,.*user_id=65534" /proc/mounts ||
	fail "it is in the table"
as_user fusermount3 -u mnt || fail "it is unmounted"
MOUNTS=()

touch point
chown 65534 point
as_user ./qcowfs -o ro disk.qcow2 point || fail "it mounts on a file"
MOUNTS+=("$PWD/point")
as_user cmp point ../want || fail "it is read"
as_user fusermount3 -u point
MOUNTS=()

# Not his.
chmod 600 disk.qcow2
chown 0 disk.qcow2
status=0
as_user ./qcowfs -o ro disk.qcow2 mnt 2>err || status=$?
[ $status = 2 ] || fail "status $status is 2"
grep -q 'disk.qcow2: Permission denied' err || { cat err; fail "it says why"; }
chmod 644 disk.qcow2
mkdir not-his
status=0
as_user ./qcowfs -o ro disk.qcow2 not-his 2>err || status=$?
[ $status = 5 ] || fail "status $status is 5"
grep -q 'qcowfs: .*not-his' err || { cat err; fail "it names the mountpoint"; }
