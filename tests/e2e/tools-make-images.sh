#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: none
# The tools that copy and make raw disks make images of a mount with -o create, as root and as an
# ordinary user.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_user_mounts

mkdir disks disks/sub source
python3 - "$SEED" <<'END'
import os, random, sys
r = random.Random(int(sys.argv[1]))
for name, size in ('disks/a.raw', 5 << 20), ('disks/b.raw', 3 << 20), ('disks/sub/c.raw', 1 << 20):
    with open(name, 'wb') as f:
        f.truncate(size)
        for _ in range(12):
            f.seek(r.randrange(size - 100000) & ~511)
            f.write(r.randbytes(r.randrange(1, 60000)))
        os.truncate(name, size)
END
chmod 444 disks/sub/c.raw
chmod -R a+rX disks

# makes_images: by all tools, in the mount m.
makes_images() {
	local how name
	for how in always auto never; do cp --sparse=$how disks/a.raw "m/cp-$how.raw"; done
	cp -r disks m/cp-r
	cp -a disks/b.raw m/cp-a.raw
	cat disks/a.raw >m/cat.raw
	dd if=disks/a.raw of=m/dd.raw bs=1M conv=sparse status=none
	dd if=disks/a.raw of=m/dd-fsync.raw bs=64k conv=fsync status=none
	qemu-img convert -f raw -O raw disks/a.raw m/convert.raw
	truncate -s 5M m/convert-n.raw
	qemu-img convert -n -f raw -O raw disks/a.raw m/convert-n.raw
	tar -C disks -cSf disks.tar .
	mkdir m/tar
	tar -C m/tar -xf disks.tar
	if command -v rsync >/dev/null; then
		rsync --inplace -S disks/a.raw m/rsync.raw
		rsync -a --inplace disks/ m/rsync/
	fi
	mkfs.ext4 -q -F m/ext4.raw 16M
	for name in m/cp-*.raw m/cat.raw m/dd*.raw m/convert*.raw m/rsync.raw; do
		case $name in
		m/cp-a.raw | 'm/rsync.raw') [ -e "$name" ] || continue ;;
		esac
		if [ "$name" = m/cp-a.raw ]; then same "$name" disks/b.raw; else same "$name" disks/a.raw; fi
	done
	for how in cp-r tar rsync; do
		[ -e "m/$how" ] || continue
		diff -r disks "m/$how" || fail "$how"
	done
}

are_sound() {
	local image raw
	while read -r image; do
		sound "$image"
		raw=${image#source/} raw=m/${raw%.qcow2}.raw
		qemu-img compare -f qcow2 -F raw -q "$image" "$raw" || fail "compare $image"
	done < <(find source -name '*.qcow2')
	[ -z "$(find source -type f ! -name '*.qcow2')" ] || fail "only images"
}

mount_rw log -o create source m
makes_images
e2fsck -fn m/ext4.raw >/dev/null 2>&1 || fail "a file system in a new image"
are_sound
truncate -s 64M m/loop.raw
attach m/loop.raw
mkfs.ext4 -q "$LOOP"
detach
e2fsck -fn m/loop.raw >/dev/null 2>&1 || fail "a file system through a loop device"
rm -r m/cp-r m/tar
[ ! -e source/cp-r ] && [ ! -e source/tar ] || fail "rm -r removes all"
mv m/cat.raw m/dd.raw
[ ! -e source/cat.qcow2 ] || fail "mv renames"
unmount_rw m
[ ! -s log ] || { cat log; fail "nothing is wrong"; }
for image in source/*.qcow2; do sound "$image"; done

# As an ordinary user.
rm -rf source disks.tar check.out
mkdir source
chown 65534:65534 . source m
as_user "$QCOWFS" -o create source m
MOUNTS+=("$(realpath m)")
export -f makes_images are_sound same sound fail
export TEST_TMP
as_user bash -c 'set -eu; makes_images; are_sound' || fail "as an ordinary user"
as_user ln -s cat.raw m/clone.raw
as_user cmp m/clone.raw m/cat.raw
[ "$(stat -c %u source/clone.qcow2)" = 65534 ] || fail "its owner"
as_user rm m/clone.raw
unmount m
