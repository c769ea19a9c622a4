#!/bin/bash
# SPDX-License-Identifier: MIT
# The disk of a snapshot is the disk again after the command of the manual, also where the image is
# mounted but not in use; and the recipe for a raw disk works on an image that is not new.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

# from_manual WORD...: the command lines of the manual with all these words in them.
from_manual() {
	local lines word
	lines=$(sed -n 's/^\$ //p' "$TEST_TOP/man/qcowfs.1")
	for word; do lines=$(grep -F -- "$word" <<<"$lines"); done
	[ "$(wc -l <<<"$lines")" = 1 ] || fail "one line of the manual has: $*: $lines"
	echo "$lines"
}

qcowfs() { "$QCOWFS" "$@"; }
go_back=$(from_manual 'qcowfs snapshot -a')
restore=$(from_manual 'dd ' if=disk.raw)
mkdir mnt
for compat in 0.10 1.1; do
	qemu-img create -q -f qcow2 -o compat=$compat vm.qcow2 16M
	qemu-io -c "write -P 1 1M 64k" -c "write -P 2 5M 3M" vm.qcow2 >/dev/null
	qemu-img snapshot -c monday vm.qcow2
	raw_of vm.qcow2 >monday
	qemu-io -c "write -P 90 0 16M" vm.qcow2 >/dev/null
	mount_fs -o rw,snapshots vm.qcow2 mnt
	same mnt/vm.raw <(raw_of vm.qcow2)
	until_true 10 eval "$go_back" # the kernel tells the daemon of a close a moment later
	same mnt/vm.raw monday
	same mnt/vm.snapshots/monday/disk.raw monday
	exec 5<>mnt/vm.raw
	echo changed >&5
	eval "$go_back" 2>busy && fail "an image that is in use does not go back"
	exec 5>&-
	until_true 10 eval "$go_back"
	same mnt/vm.raw monday
	unmount mnt
	same monday <(raw_of vm.qcow2)
	qemu-img check -q vm.qcow2
	rm vm.qcow2

	qemu-img create -q -f qcow2 -o compat=$compat new.qcow2 16M
	qemu-io -c "write -P 90 0 16M" new.qcow2 >/dev/null
	cp monday disk.raw
	mount_fs -o rw new.qcow2 mnt
	eval "$restore" 2>/dev/null
	same mnt/new.raw disk.raw
	unmount mnt
	same disk.raw <(raw_of new.qcow2)
	rm new.qcow2
done
