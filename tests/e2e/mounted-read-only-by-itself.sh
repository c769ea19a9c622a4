#!/bin/bash
# SPDX-License-Identifier: MIT
# What cannot be written anyhow is mounted read-only, and one line says why: an image that is
# marked as corrupt, or whose data file is not to be written, and a folder on a file system that
# is read-only.  locking=share is for reading alone.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mounted_as() { # mounted_as WORD MODE FILE
	grep -q " $PWD/mnt fuse.qcowfs $1," /proc/mounts || fail "$3: mounted $1"
	[ "$(stat -c %a "mnt/$3")" = "$2" ] || fail "$3: mode $2"
}

# mounts WORD MODE FILE LINE [OPTION...] SOURCE
mounts() {
	local word=$1 mode=$2 file=$3 line=$4
	shift 4
	"$QCOWFS" "$@" mnt 2>said || fail "$*: $(cat said)"
	MOUNTS+=("$PWD/mnt")
	mounted_as "$word" "$mode" "$file"
	[ -z "$line" ] || grep -q -- "$line" said || fail "$*: it says $line: $(cat said)"
	[ "$(wc -l <said)" = "$([ -n "$line" ] && echo 1 || echo 0)" ] || fail "$*: one line: $(cat said)"
	cat "mnt/$file" >/dev/null || fail "$*: it can be read"
	unmount mnt
	until_true 10 is_free
}

is_free() {
	local i
	for i in *.qcow2; do qemu-img check -q "$i" || [ $? = 2 ] || return 1; done
}

mkdir mnt
umask 022
image good.qcow2 1M "write -P 1 0 64k"
image corrupt.qcow2 1M "write -P 1 0 64k"
poke corrupt.qcow2 72 0000000000000002
OPTS=data_file=data image external.qcow2 1M "write -P 1 0 64k"

mounts rw 644 good.raw '' good.qcow2
mounts rw 644 good.raw '' .
mounts ro 444 corrupt.raw 'mounted read-only: .*feature: corrupt bit' corrupt.qcow2
mounts ro 444 corrupt.raw 'mounted read-only: ' -o rw corrupt.qcow2
mounts ro 444 corrupt.raw '' -r corrupt.qcow2
mounts ro 444 external.raw "mounted read-only: .*'data' is not to be written (data-file=data" external.qcow2
mounts rw 644 external.raw '' -o data-file=data external.qcow2
mounts ro 444 good.raw '' -o locking=share good.qcow2
mounts ro 444 good.raw '' -o rw,locking=share .

[ "$(id -u)" = 0 ] && mkdir fixed && mount -t tmpfs none fixed || exit 0
MOUNTS+=("$PWD/fixed")
cp good.qcow2 fixed
mounts rw 644 good.raw '' fixed
mount -o remount,ro fixed
mounts ro 444 good.raw 'mounted read-only: .*Read-only file system' fixed
mounts ro 444 good.raw '' -r fixed
mounts rw 644 good.raw '' -o rw fixed
umount fixed
MOUNTS=()
