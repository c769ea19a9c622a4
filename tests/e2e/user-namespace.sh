#!/bin/bash
# SPDX-License-Identifier: MIT
# In a user namespace of his own any user mounts without fusermount3, reads and writes, as in an
# unprivileged container.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

as_user() { "$@"; }
if [ "$(id -u)" = 0 ]; then
	as_user() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
	requires as_user test -x "$TEST_TMP"
	own_mounts # with a device for everybody
	mkdir dev
	requires mount -t tmpfs none dev
	mknod -m 666 dev/fuse c 10 229
	mount --bind dev/fuse /dev/fuse
	umount -l dev
fi
requires as_user unshare --user --map-root-user --mount true
requires test -e /dev/fuse

mkdir home home/mnt
cp "$QCOWFS" home/qcowfs
image home/disk.qcow2 8M "write -P 1 0 1M"
[ "$(id -u)" != 0 ] || chown -R 65534:65534 home
cd home
cat >inside <<'END'
set -e
PATH=/nowhere ./qcowfs disk.qcow2 mnt -o "$1"
cmp -n 1048576 mnt/disk.raw ones
printf hello | dd of=mnt/disk.raw bs=1 seek=5000000 conv=notrunc status=none
umount mnt
END
dd if=/dev/zero bs=1M count=1 status=none | tr '\0' '\1' >ones
chmod 644 inside ones
for options in rw allow_other; do
	as_user unshare --user --map-root-user --mount bash ./inside "$options" || fail "$options"
	until_true 10 qemu-img check -q disk.qcow2
	qio disk.qcow2 "read -v 5000000 5"
	grep -q hello qio.out || fail "it is written"
	qio disk.qcow2 "write -P 0 5000000 5"
done
