#!/bin/bash
# SPDX-License-Identifier: MIT
# Snapshots and layers of encrypted images are shown only with their keys; the facts of an image
# need no key, and contain none.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
. "$TEST_LIB/encrypted.sh"

all_are() { # all_are BYTE FILE [COUNT]: but for so many
	[ "$(tr -d "\\$1" <"$2" | wc -c)" = "${3:-0}" ] || fail "$2 has bytes of value $1, but for ${3:-0}"
}

mkdir src mnt
encrypted src/a.qcow2 qcow2 "$LUKS" 1M 'write -P 1 0 1M'
qemu-img snapshot --object "secret,id=s,file=$KEY" --image-opts -c one \
	driver=qcow2,file.filename=src/a.qcow2,encrypt.key-secret=s
encrypted_io src/a.qcow2 qcow2 'write -P 2 100k 100k'
qemu-img create -q -u -f qcow2 -b a.qcow2 -F qcow2 src/o.qcow2 1M

mount_fs -o snapshots,chain,info,key-file=key src mnt
all_are 1 mnt/a.snapshots/one/disk.raw
all_are 1 mnt/a.raw 102400
all_are 1 mnt/a.chain/0-a.qcow2.raw 102400
all_are 1 mnt/o.chain/1-a.qcow2.raw 102400
grep -q '"encrypted": true' mnt/a.json || fail "it says that it is encrypted"
if grep -q '"error"' mnt/a.json; then fail "it can be used"; fi
if grep -qF "$(cat key)" mnt/*.json; then fail "no page has the passphrase"; fi
unmount mnt

mount_fs -o snapshots,chain,info src mnt
for name in a o; do grep -q '"error": ".*encrypted (LUKS)' mnt/$name.json || fail "$name.json says why"; done
unmount mnt

# One that is taken here: the clusters that it keeps are of no use to others.
"$QCOWFS" -o rw,snapshots,key-file=key src/a.qcow2 mnt
MOUNTS+=("$(realpath mnt)")
mkdir mnt/a.snapshots/two
printf hello | dd of=mnt/a.raw bs=1 seek=70000 conv=notrunc status=none
all_are 1 mnt/a.snapshots/two/disk.raw 102400
all_are 1 mnt/a.raw 102405
unmount mnt
encrypted_sound src/a.qcow2
encrypted_raw src/a.qcow2 qcow2 raw
all_are 1 raw 102405
