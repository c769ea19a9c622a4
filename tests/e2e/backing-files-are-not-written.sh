#!/bin/bash
# SPDX-License-Identifier: MIT
# In the mount of a folder, the backing file of another image is read-only unless write-base: whatever
# its overlays call it, and wherever they are, if their folder was looked into.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/lab/deep src/side mnt
image src/base.qcow2 1M "write -P 1 0 1M"
overlay src/over.qcow2 base.qcow2 qcow2
image src/free.qcow2 1M
image src/lab/deep/low.qcow2 1M
overlay src/top.qcow2 lab/deep/low.qcow2 qcow2
image src/far.qcow2 1M
overlay src/side/up.qcow2 ../far.qcow2 qcow2
image src/real.qcow2 1M
overlay src/abs.qcow2 "$PWD/src/real.qcow2" qcow2
ln src/real.qcow2 src/side/alias.qcow2
image src/round.qcow2 1M
overlay src/about.qcow2 ./lab//deep/../../round.qcow2 qcow2
ln -s src link
image src/linked.qcow2 1M
overlay src/via.qcow2 "$PWD/link/linked.qcow2" qcow2
ln -s far.qcow2 src/soft.qcow2
image src/nested.qcow2 1M
qemu-img create -q -u -f qcow2 -F qcow2 -b 'json:{"driver": "qcow2", "file": {"driver": "file", "filename": "nested.qcow2"}}' src/json.qcow2 1M
image src/flat.qcow2 1M
qemu-img create -q -u -f qcow2 -F qcow2 -b "json:{\"driver\": \"qcow2\", \"file.filename\": \"$PWD/src/flat.qcow2\"}" src/dotted.qcow2 1M

writes() { # writes NAME: to it
	printf x | dd of="mnt/$1" conv=notrunc status=none
}
is_refused() { # is_refused NAME OVERLAY
	fails_with 'Read-only file system' writes "$1"
	grep -q "cannot open for writing: it is the backing file of $2 (write-base allows it)" log || {
		cat log
		fail "$1: the log names $2"
	}
	head -c 1 "mnt/$1" >/dev/null || fail "$1 can be read"
}

mount_with rw log src mnt
is_refused base.raw over.qcow2 # nothing was listed before
is_refused lab/deep/low.raw top.qcow2
is_refused round.raw about.qcow2
is_refused real.raw abs.qcow2
is_refused nested.raw json.qcow2
is_refused flat.raw dotted.qcow2
fails_with 'Read-only file system' truncate -s 2M mnt/base.raw
writes free.raw
writes over.raw
shows_as mnt/over.raw src/over.qcow2
# Overlays in other sub-folders count once those were looked into.
writes far.raw
ls mnt/side >/dev/null
is_refused far.raw side/up.qcow2
is_refused side/alias.raw abs.qcow2

# Overlays come and go.
overlay src/new.qcow2 free.qcow2 qcow2
is_refused free.raw new.qcow2
rm src/new.qcow2
writes free.raw
rm src/over.qcow2
writes base.raw
# A base that another file replaced is one, too.
overlay src/over.qcow2 base.qcow2 qcow2
is_refused base.raw over.qcow2
cp src/base.qcow2 copy
mv copy src/base.qcow2
until_true 4 sh -c '! dd if=/dev/zero of=mnt/base.raw bs=1 count=1 conv=notrunc'
until_true 4 sh -c 'dd if=/dev/zero of=mnt/base.raw bs=1 count=1 conv=notrunc 2>&1 | grep Read-only'
# An overlay that gets another backing file.
qemu-img rebase -u -b free.qcow2 -F qcow2 src/over.qcow2
ls mnt >/dev/null
writes base.raw
is_refused free.raw over.qcow2
unmount mnt

mount_with rw,write-base log src mnt
writes base.raw
writes lab/deep/low.raw
[ ! -s log ] || { cat log; fail "nothing to say"; }
unmount mnt
mount_with rw log link mnt
is_refused linked.raw via.qcow2
unmount mnt
# One image: its overlays are not looked for.
mount_fs -o rw src/free.qcow2 mnt
writes free.raw
unmount mnt
qemu-img check -q src/base.qcow2
