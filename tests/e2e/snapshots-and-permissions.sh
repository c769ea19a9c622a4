#!/bin/bash
# SPDX-License-Identifier: MIT
# Write permission on the image allows to take and delete snapshots; read permission, to read them.
# shellcheck source=writing.sh
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires as_user true
requires as_user test -x "$TEST_TMP"

mkdir src mnt
chmod 755 src mnt
for f in his ours closed; do
	image src/$f.qcow2 1M "write -P 1 0 1M"
	qemu-img snapshot -c one src/$f.qcow2
done
chown 65534 src/his.qcow2
chmod 644 src/his.qcow2 src/ours.qcow2
chmod 600 src/closed.qcow2
mount_rw log -o allow_other,snapshots,chain,info src mnt
[ "$(stat -c %a:%u mnt/his.snapshots)" = 755:65534 ] || fail "he may make some: $(stat -c %a:%u mnt/his.snapshots)"
[ "$(stat -c %a mnt/closed.snapshots)" = 700 ] || fail "nobody else may look into this"
[ "$(stat -c %a mnt/closed.snapshots/one/disk.raw mnt/closed.json)" = $'400\n400' ] || fail "nor read it"
as_user mkdir mnt/his.snapshots/two
as_user mv mnt/his.snapshots/two mnt/his.snapshots/three
as_user cmp -n 1048576 mnt/his.snapshots/three/disk.raw mnt/his.raw || fail "he reads it"
as_user rmdir mnt/his.snapshots/three
as_user cmp -n 1048576 mnt/ours.snapshots/one/disk.raw mnt/ours.raw || fail "he reads ours"
fails_with 'Permission denied' as_user mkdir mnt/ours.snapshots/two
fails_with 'Permission denied' as_user rmdir mnt/ours.snapshots/one
fails_with 'Permission denied' as_user mv mnt/ours.snapshots/one mnt/ours.snapshots/two
fails_with 'Permission denied' as_user ls mnt/closed.snapshots
fails_with 'Permission denied' as_user ls mnt/closed.chain
fails_with 'Permission denied' as_user cat mnt/closed.json
unmount_rw mnt
mount_rw log -o uid=65534,gid=65533,umask=077,snapshots src mnt
[ "$(stat -c %a:%u:%g mnt/ours.snapshots mnt/ours.snapshots/one mnt/ours.snapshots/one/disk.raw)" = \
	$'700:65534:65533\n500:65534:65533\n400:65534:65533' ] || fail "uid, gid and umask are for all"
unmount_rw mnt
