#!/bin/bash
# SPDX-License-Identifier: MIT
# backing-map=OLD:NEW finds the files of a chain that was moved, below NEW and nowhere else.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src new/sub mnt
image new/base.qcow2 1M "write -P 1 0 1M"
image new/sub/deep.qcow2 1M "write -P 2 0 1M"
image secret.qcow2 1M "write -P 3 0 1M"
ln -s ../secret.qcow2 new/out.qcow2
over() {
	qemu-img create -q -u -f qcow2 -b "$1" -F qcow2 src/over.qcow2 1M
}
first_byte() {
	[ "$(head -c 1 mnt/over.raw | xxd -p)" = "$1" ] || fail "it begins with $1"
	unmount mnt
}

over /old/place/base.qcow2
refuses 2 '/old/place/base.qcow2' src/over.qcow2 mnt
mount_fs -o "backing-map=/old/place:$PWD/new" src/over.qcow2 mnt
first_byte 01
mount_fs -o "backing-map=/old/place/:$PWD/new/" src/over.qcow2 mnt
first_byte 01
mount_fs -o backing-map=/old/place:new src/over.qcow2 mnt
first_byte 01
mount_fs -o "backing-map=/old/place/base.qcow2:$PWD/new/sub/deep.qcow2" src/over.qcow2 mnt
first_byte 02
refuses 2 '/old/place/base.qcow2' -o "backing-map=/old/pla:$PWD/new" src/over.qcow2 mnt
over /old/place/sub/deep.qcow2
mount_fs -o "backing-map=/nowhere:/tmp,backing-map=/old/place:$PWD/new" src/over.qcow2 mnt
first_byte 02
for name in /old/place/../secret.qcow2 /old/place/out.qcow2 /old/place/sub/../../secret.qcow2; do
	over $name
	refuses 2 'secret|out' -o "backing-map=/old/place:$PWD/new" src/over.qcow2 mnt
done
refuses 1 'backing-map' -o backing-map=nonsense src/over.qcow2 mnt
