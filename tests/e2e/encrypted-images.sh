#!/bin/bash
# SPDX-License-Identifier: MIT
# Without a key an encrypted image is refused, and so is its overlay: with status 4 as the only
# SOURCE; in a folder both are listed, and cannot be opened.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
. "$TEST_LIB/encrypted.sh"

mkdir src mnt
cd src
encrypted luks.qcow2 qcow2 "$LUKS" 1M 'write -P 9 0 1M'
encrypted aes.qcow2 qcow2 encrypt.format=aes 1M 'write -P 9 0 1M'
encrypted aes1.qcow qcow encrypt.format=aes 1M 'write -P 9 0 1M'
for name in luks.qcow2 aes.qcow2 aes1.qcow; do
	refuses 4 'encrypted.*no key' $name ../mnt
	image over-$name 1M "write -P 1 0 64k"
	format=qcow2
	if [ $name = aes1.qcow ]; then format=qcow; fi
	qemu-img rebase -u -f qcow2 -b $name -F $format over-$name
	refuses 4 "backing file .*$name: encrypted.*no key" over-$name ../mnt
done
cd ..
mount_fs src mnt
for name in luks aes aes1 over-luks over-aes over-aes1; do
	[ "$(stat -c %s mnt/$name.raw)" = 0 ] || fail "without a key $name has size 0"
	fails_with 'Permission denied' cat mnt/$name.raw
done
unmount mnt
