#!/bin/bash
# SPDX-License-Identifier: MIT
# Temporary overlays where the file system has no files without a name (O_TMPFILE): a file is unlinked
# at once, also in the sandbox, and nothing is left behind, also after a kill.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
requires which fuse2fs mkfs.ext4

truncate -s 64M fs
mkfs.ext4 -q fs
mkdir tmp mnt src
fuse2fs fs tmp -o fakeroot >/dev/null || skip "needs fuse2fs"
MOUNTS+=("$PWD/tmp")
if python3 -c 'import os; os.open("tmp", os.O_TMPFILE | os.O_RDWR)' 2>/dev/null; then
	skip "needs a file system without O_TMPFILE"
fi
for name in a b; do image src/$name.qcow2 1M "write -P 1 0 1M"; done
sums=$(sha256sum src/*)

write_all() {
	for name in a b; do
		printf new | dd of=mnt/$name.raw bs=1 seek=4096 conv=notrunc,fsync status=none || fail "it is written"
		[ "$(dd if=mnt/$name.raw bs=1 skip=4096 count=3 status=none)" = new ] || fail "and read"
	done
	[ -z "$(find tmp -name '.qcowfs-*')" ] || fail "it has no name"
}
TMPDIR=$PWD/tmp "$QCOWFS" -o "cow,pid-file=$PWD/pid" src mnt || fail "it mounts"
MOUNTS+=("$PWD/mnt")
write_all
kill -9 "$(cat pid)"
umount -l mnt
rm -f pid
TMPDIR=$PWD/tmp "$QCOWFS" -o cow src mnt || fail "it mounts again"
write_all
unmount mnt
[ "$(sha256sum src/*)" = "$sums" ] || fail "the images are as they were"
until_true 10 umount tmp # a killed daemon has its file until it has ended
