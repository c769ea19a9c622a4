#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: none
# Extended attributes say the format, the backing file, the size, the ID of a snapshot and the dirty
# bytes of a bitmap, of disks, snapshots, bitmaps and files of a chain, also in the sandbox. They
# cannot be changed. Mounts that can be written have them, too.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires which getfattr setfattr

mkdir src mnt
(
	cd src || exit
	qemu-img create -q -f qcow old.qcow 1M
	image base.qcow2 1M
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 2M
	qemu-img snapshot -c "one" top.qcow2
	qemu-img resize -q top.qcow2 3M
	qemu-img bitmap --add -g 64k top.qcow2 b
	cp base.qcow2 bad.qcow2
	printf '\377' | dd of=bad.qcow2 bs=1 seek=20 conv=notrunc status=none
)

# all FILE: its attributes.
all() { getfattr -d --absolute-names "mnt/$1" | sed -n 's/^user.qcowfs.//p' | tr '\n' ' '; }
# has FILE LIST
has() { [ "$(all "$1")" = "$2 " ] || fail "$1 has $2: $(all "$1")"; }
# refuses TEXT COMMAND...: it fails with this error.
refuses() {
	local text=$1
	shift
	! "$@" 2>error || fail "$* fails"
	grep -q "$text" error || fail "$*: $text: $(cat error)"
}

mount_fs -o snapshots,chain,info,bitmaps,sandbox=on src mnt
has old.raw 'format="qcow" virtual-size="1048576"'
has base.raw 'format="qcow2" virtual-size="1048576"'
has top.raw 'backing="base.qcow2" format="qcow2" virtual-size="3145728"'
has top.snapshots/one 'snapshot-id="1"'
has top.snapshots/one/disk.raw 'backing="base.qcow2" format="qcow2" snapshot-id="1" virtual-size="2097152"'
has top.bitmaps/b.raw 'dirty-bytes="0" virtual-size="3145728"'
has top.chain/1-base.qcow2.raw 'format="qcow2" virtual-size="1048576"'
for none in bad.raw top.json top.snapshots .; do
	refuses "No such attribute" getfattr -n user.qcowfs.virtual-size "mnt/$none"
done
[ "$(getfattr --only-values -n user.qcowfs.format mnt/top.raw)" = qcow2 ] || fail "a value has no newline"
refuses "No such attribute" getfattr -n user.other mnt/top.raw
refuses "Read-only file system" setfattr -n user.qcowfs.format -v raw mnt/top.raw
refuses "Read-only file system" setfattr -x user.qcowfs.format mnt/top.raw
unmount mnt

# With Linux 5.11 a mount that can be written has them.
mount_rw log -o bitmaps,keep-bitmaps=on src mnt
dd if=/dev/zero of=mnt/top.raw bs=4k count=1 conv=notrunc status=none
if getfattr -n user.qcowfs.format mnt/top.raw >value 2>error; then
	grep -q '="qcow2"' value || fail "the value is the same"
	has top.bitmaps/b.raw 'dirty-bytes="65536" virtual-size="3145728"'
else
	grep -q 'Operation not supported' error || fail "they are not supported: $(cat error)"
	[ "$(uname -r | sed 's/\..*//')" -lt 6 ] || fail "they are supported"
fi
unmount_rw mnt
