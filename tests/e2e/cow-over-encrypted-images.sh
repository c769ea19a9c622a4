#!/bin/bash
# SPDX-License-Identifier: MIT
# With its key an encrypted image is read and written over cow, and QEMU reads FILE.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
# shellcheck source=encrypted.sh
. "$TEST_LIB/encrypted.sh"

mkdir -p mnt
encrypted e.qcow2 qcow2 "$LUKS" 4M "write -P 5 0 4M"
sha256sum e.qcow2 >want
for option in cow "cow=$PWD/over.qcow2"; do
	mount_with "$option" log -o "key-file=$KEY" e.qcow2 mnt
	printf hello | dd of=mnt/e.raw bs=1 seek=1M conv=notrunc status=none
	same <(tail -c +1048575 mnt/e.raw | head -c 9) <(printf '\5\5hello\5\5')
	unmount_rw mnt
done
qemu-img convert --object "secret,id=s,file=$KEY" -O raw --image-opts \
	driver=qcow2,file.filename=over.qcow2,backing.encrypt.key-secret=s flat
same <(tail -c +1048575 flat | head -c 9) <(printf '\5\5hello\5\5')
sha256sum -c --quiet want || fail "the image is as it was"

printf wrong >wrong
for option in cow "cow=$PWD/none"; do
	status=0
	"$QCOWFS" -o "$option,key-file=wrong" e.qcow2 mnt 2>err || status=$?
	[ $status = 4 ] || fail "status 4: $status: $(cat err)"
done
