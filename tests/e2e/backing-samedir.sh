#!/bin/bash
# SPDX-License-Identifier: MIT
# By default an image opens backing and data files in its own folder or below, and no
# others, whatever way the name takes there; the message says what allows them.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/deep/er mnt
image secret.qcow2 1M "write -P 0x5e 0 1M"
image src/near.qcow2 1M "write -P 1 0 1M"
image src/deep/er/far.qcow2 1M "write -P 2 0 1M"
ln -s ../secret.qcow2 src/out.qcow2
ln -s .. src/deep/up
ln -s near.qcow2 src/in.qcow2
ln -s "$PWD" src/deep/absolute

n=0
over() { # over BACKING: makes an overlay, $NAME
	NAME=src/over$((n += 1)).qcow2
	qemu-img create -q -u -f qcow2 -b "$1" -F qcow2 "$NAME" 1M
}

for name in near.qcow2 ./near.qcow2 deep/er/far.qcow2 in.qcow2 deep/../near.qcow2 \
	"$PWD/src/near.qcow2" "$PWD/src/deep/er/far.qcow2" deep/up/near.qcow2 \
	"$PWD/src/../src/near.qcow2" ../src/near.qcow2; do
	over "$name"
	mount_fs $NAME mnt || fail "allowed: $name"
	shows_as mnt/over$n.raw src/over$n.qcow2
	unmount mnt
done
for name in ../secret.qcow2 "$PWD/secret.qcow2" out.qcow2 deep/../../secret.qcow2 \
	deep/up/../secret.qcow2 deep/absolute/secret.qcow2 ./../secret.qcow2 \
	"$PWD/src/../secret.qcow2" deep/absolute/src/out.qcow2; do
	over "$name"
	refuses 2 'backing=any' $NAME mnt
	mount_fs -o backing=any $NAME mnt
	shows_as mnt/over$n.raw src/over$n.qcow2
	unmount mnt
done
over gone.qcow2
refuses 2 'gone.qcow2.*No such file' $NAME mnt
if grep -q "backing file [^']*$NAME" refuses.err; then fail "$NAME is not a backing file"; fi

# A data file, likewise.
noise src/data.bin 1048576
noise data.bin 1048576
for where in data.bin ../data.bin; do
	(cd src && qemu-img create -q -f qcow2 -o "data_file=$where" "d.qcow2" 1M)
	(cd src && qio d.qcow2 "write -P 6 0 1M")
	if [ $where = data.bin ]; then
		mount_fs src/d.qcow2 mnt
		[ "$(head -c 1 mnt/d.raw | xxd -p)" = 06 ] || fail "the data file is read"
		unmount mnt
	else
		refuses 2 'backing=any' src/d.qcow2 mnt
		mount_fs -o backing=any src/d.qcow2 mnt
		[ "$(head -c 1 mnt/d.raw | xxd -p)" = 06 ] || fail "the data file is read"
		unmount mnt
	fi
done
