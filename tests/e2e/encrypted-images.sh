#!/bin/bash
# SPDX-License-Identifier: MIT
# An encrypted image without a key: status 4 as the only one, and listed but not opened in a
# folder.  Under a plain overlay it is an error to read what only it has.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src mnt
cd src
secret=(--object "secret,id=s0,data=abc")
encrypted() { # encrypted FILE FORMAT OPTIONS: making a LUKS key may fail, on a busy machine
	local tries=0
	until qemu-img create -q "${secret[@]}" -f "$2" -o "$3,encrypt.key-secret=s0" "$1" 1M; do
		[ $((tries += 1)) -lt 20 ] || fail "qemu-img makes $1"
	done
	qemu-io "${secret[@]}" --image-opts -c 'write -P 9 0 1M' \
		"driver=$2,file.filename=$1,encrypt.key-secret=s0" >/dev/null
}
encrypted luks.qcow2 qcow2 encrypt.format=luks,encrypt.iter-time=10
encrypted aes.qcow2 qcow2 encrypt.format=aes
encrypted aes1.qcow qcow encrypt.format=aes
for name in luks.qcow2 aes.qcow2 aes1.qcow; do
	refuses 4 'encrypted' $name ../mnt
	image over-$name 1M "write -P 1 0 64k"
	format=qcow2
	if [ $name = aes1.qcow ]; then format=qcow; fi
	qemu-img rebase -u -f qcow2 -b $name -F $format over-$name
done
cd ..
mount_fs src mnt
for name in luks aes aes1; do
	[ "$(stat -c %s mnt/$name.raw)" = 0 ] || fail "an encrypted one has size 0"
	fails_with 'Permission denied' cat mnt/$name.raw
	over=mnt/over-$name.raw
	[ "$(stat -c %s $over)" = 1048576 ] || fail "its overlay has a size"
	[ "$(head -c 65536 $over | tr -d '\1' | wc -c)" = 0 ] || fail "what the overlay has is read"
	fails_with 'Input/output error|Permission denied' dd if=$over bs=64k skip=1 of=/dev/null
done
unmount mnt
mount_fs src/over-luks.qcow2 mnt
unmount mnt
