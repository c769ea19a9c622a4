#!/bin/bash
# SPDX-License-Identifier: MIT
# While one of our files is open for writing, QEMU cannot even read its image; while QEMU has an
# image, even for reading only, we do not write to it.  An image serves overlays, or is written to,
# but not both.  Locks go with the last close.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"

EBUSY='Device or resource busy'
mkdir src
image src/base.qcow2 1M "write -P 1 0 1M"
(cd src && overlay over.qcow2 base.qcow2 qcow2)
image src/alone.qcow2 1M
writes() { qemu-io -f qcow2 -c 'write -P 2 0 512' "src/$1.qcow2"; }
reads() { qemu-io -r -f qcow2 -c 'read 0 512' "src/$1.qcow2"; }
we_write() { dd if=/dev/zero of="$MNT/$1.raw" bs=1 count=1 conv=notrunc status=none; }
can() { "$@" >/dev/null 2>out || { cat out; fail "it can: $*"; }; }

hold_readonly() {
	qemu-io -r -f qcow2 -c "sleep 600000" "$1" >/dev/null 2>&1 &
	HOLDER=$!
	PROCESSES+=("$HOLDER")
	until_true 20 has_locked "$HOLDER"
}

they_stay_out() { # with NAME mounted, and nothing open
	can writes "$1"
	can reads "$1"
	exec 3<"$MNT/$1.raw" 4<>"$MNT/$1.raw" 5<>"$MNT/$1.raw"
	fails_with lock writes "$1"
	fails_with lock reads "$1"
	exec 4>&-
	fails_with lock reads "$1"
	exec 5>&-
	exec 3<&-
	until_true 5 writes "$1"
	until_true 5 reads "$1"
}

we_stay_out() {
	hold_readonly "src/$1.qcow2"
	can cat "$MNT/$1.raw"
	fails_with "$EBUSY" we_write "$1"
	fails_with "$EBUSY" truncate -s 2M "$MNT/$1.raw"
	can cat "$MNT/$1.raw"
	let_go
	can we_write "$1"
	until_true 5 writes "$1"
	hold "src/$1.qcow2"
	fails_with "$EBUSY" we_write "$1"
	fails_with "$EBUSY" cat "$MNT/$1.raw"
	let_go
	can we_write "$1"
	until_true 5 writes "$1"
}

MNT=mnt
for source in src/alone.qcow2 src/over.qcow2 src; do
	name=$(basename "$source" .qcow2)
	[ -d "$source" ] && name=alone
	mount_rw log "$source" mnt
	they_stay_out "$name"
	we_stay_out "$name"
	unmount_rw mnt
done

mount_rw log -o write-base src mnt
exec 3<mnt/over.raw
fails_with "$EBUSY" we_write base
grep -q 'base.qcow2' log || fail "the log says what is busy"
can cat mnt/base.raw
exec 3<&-
until_true 5 we_write base
until_true 5 writes base
exec 3<>mnt/over.raw
fails_with "$EBUSY" we_write base
fails_with lock writes base
can cat mnt/base.raw
exec 3<&-
until_true 5 we_write base
exec 3<>mnt/base.raw
can cat mnt/base.raw
fails_with "$EBUSY" cat mnt/over.raw
fails_with "$EBUSY" we_write over
exec 3<&-
until_true 5 cat mnt/over.raw
can we_write over
unmount_rw mnt
for i in base over alone; do
	qemu-img check -q "src/$i.qcow2"
	can writes $i
done
