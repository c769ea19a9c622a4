#!/bin/bash
# SPDX-License-Identifier: MIT
# Backing files that were recorded on Windows, with a drive letter, are found by backing-map, written
# with slashes or with doubled backslashes.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p vms/lab mnt
image vms/base.qcow2 1M "write -P 1 0 1M"
image vms/lab/deep.qcow2 1M "write -P 2 0 1M"
over() { qemu-img create -q -u -f qcow2 -b "$1" -F qcow2 over.qcow2 1M; }
first_byte() {
	[ "$(head -c 1 mnt/over.raw | xxd -p)" = "$1" ] || fail "it begins with $1"
	unmount mnt
}
over 'C:\vms\base.qcow2'
refuses 2 "'C:/vms/base.qcow2' is a path of Windows \(backing-map=C:/OLD:NEW says where its folder is here\)" over.qcow2 mnt
refuses 2 'is a path of Windows' -o backing=any over.qcow2 mnt
for map in 'C:/vms' 'C:\\vms' 'C:/vms/'; do
	mount_fs -o "backing-map=$map:$PWD/vms" over.qcow2 mnt
	first_byte 01
done
over 'c:/vms/lab\deep.qcow2'
refuses 2 'is a path of Windows' -o "backing-map=C:/vms:$PWD/vms" over.qcow2 mnt
mount_fs -o "backing-map=d:/x:/tmp,backing-map=c:/vms:vms" over.qcow2 mnt
first_byte 02
over 'C:\vms\..\secret.qcow2'
image secret.qcow2 1M
refuses 2 'secret' -o "backing-map=C:/vms:$PWD/vms" over.qcow2 mnt
