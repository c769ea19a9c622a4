#!/bin/bash
# SPDX-License-Identifier: MIT
# Images on a read-only ext4 are read without a word, and its device stays as it was.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
requires which mkfs.ext4
requires losetup -f

mkdir tree ro mnt
image tree/disk.qcow2 4M "write -P 1 0 4M"
qemu-img snapshot -c one tree/disk.qcow2
qio tree/disk.qcow2 "write -P 2 1M 1M"
overlay tree/over.qcow2 disk.qcow2 qcow2 "write -P 3 0 64k"
qemu-img convert -f qcow2 -O raw tree/over.qcow2 want
qemu-img convert -f qcow2 -O raw -l one tree/disk.qcow2 want.one
truncate -s 32M device
mkfs.ext4 -q -d tree device
before=$(sha256sum <device)
LOOPS+=("$(losetup -f --show --read-only device)")
mount -o ro,noload "${LOOPS[0]}" ro
mount_fg log -o forensic ro mnt
same mnt/over.raw want
same mnt/disk.snapshots/one/disk.raw want.one
same mnt/over.chain/1-disk.qcow2.raw mnt/disk.raw
cat mnt/*.json >all.json
[ "$(stat -f -c %b mnt)" = "$(stat -f -c %b ro)" ] || fail "statfs is that of the disk"
unmount mnt
until_true 10 umount ro
losetup -d "${LOOPS[0]}"
LOOPS=()
[ ! -s log ] || { cat log; fail "there is nothing to say"; }
[ "$(sha256sum <device)" = "$before" ] || fail "the device is as it was"
