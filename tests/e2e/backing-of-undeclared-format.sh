#!/bin/bash
# SPDX-License-Identifier: MIT
# Where an image does not say what its backing file is, the magic tells; but such a file does
# not lead to further files, or a guest could write its way to any, unless backing=any.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir mnt
noise raw.bin 1048576
image base.qcow2 1M "write -P 1 0 1M"
overlay middle.qcow2 base.qcow2 qcow2
OPTS=data_file=d.bin image data.qcow2 1M "write -P 7 0 1M"
undeclared() { # with an extension that nobody knows in the place of the format
	qemu-img create -q -u -f qcow2 -b "$1" -F raw top.qcow2 1M
	[ "$(xxd -s 112 -l 4 -p top.qcow2)" = e2792aca ] || fail "the format is where it was"
	poke top.qcow2 112 12345678
}

undeclared raw.bin
mount_fs top.qcow2 mnt
same mnt/top.raw raw.bin
unmount mnt
undeclared base.qcow2
mount_fs top.qcow2 mnt
[ "$(head -c 1 mnt/top.raw | xxd -p)" = 01 ] || fail "it is read as an image"
unmount mnt
for name in middle data; do
	undeclared $name.qcow2
	refuses 2 'backing=any' top.qcow2 mnt
	mount_fs -o backing=any top.qcow2 mnt
	unmount mnt
done
# A file that is declared as raw is raw, also if it begins like an image.
qemu-img create -q -u -f qcow2 -b middle.qcow2 -F raw top.qcow2 64k
mount_fs top.qcow2 mnt
cmp -n 65536 mnt/top.raw middle.qcow2 || fail "the bytes of the file itself"
unmount mnt
# Unknown formats are refused by name.
qemu-img create -q -u -f qcow2 -b raw.bin -F vmdk top.qcow2 1M
refuses 2 'vmdk' top.qcow2 mnt
