#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: none
# The recipes of README.md that make images do what it says, each line as it is printed.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires command -v fuse2fs

# lines_of TITLE: the lines of the recipe of that title.
lines_of() {
	# shellcheck disable=SC2016
	sed -n "/^\*\*$1/,/^\`\`\`$/p" "$TEST_TOP/README.md" | sed '1,/^```sh$/d; /^```$/d' |
		sed 's|/srv/images|images|'
}

# follow TITLE: runs these lines.
follow() {
	lines_of "$1" >recipe.sh
	[ -s recipe.sh ] || fail "README.md has the recipe: $1"
	cat recipe.sh
	bash -eu recipe.sh >recipe.log 2>&1 || { cat recipe.log; fail "$1"; }
}

mkdir bin images mnt tree rootfs
ln -s "$QCOWFS" bin/qcowfs
PATH=$PWD/bin:$PATH
MOUNTS=("$PWD/mnt")

head -c 3000000 /dev/urandom >base-disk.raw
follow 'Fifty clones of one base'
[ "$(find mnt -name 'vm*.raw' | wc -l)" = 50 ] || fail "fifty clones"
truncate -s %512 base-disk.raw
same mnt/vm50.raw base-disk.raw
unmount mnt
[ "$(qemu-img info images/vm7.qcow2 | sed -n 's/^backing file: \([^ ]*\).*/\1/p')" = base.qcow2 ] ||
	fail "overlays of the base"

cp -a /etc/. rootfs
follow 'An image from a folder of files, without root'
MOUNTS+=("$PWD/tree")
diff -r --no-dereference -x lost+found rootfs tree || fail "the files of the folder"
echo more >tree/more
umount tree
unmount mnt
sound images/root.qcow2
qemu-img convert -O raw images/root.qcow2 out.raw
e2fsck -fn out.raw >fsck.out 2>&1 || { cat fsck.out; fail "the file system"; }
[ "$(debugfs -R 'cat more' out.raw 2>/dev/null)" = more ] || fail "more files"
