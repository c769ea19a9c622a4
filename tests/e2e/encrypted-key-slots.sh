#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: none
# Each of the eight key slots opens the image, alone or among others; one that was erased does not.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
. "$TEST_LIB/encrypted.sh"

mkdir mnt
encrypted disk.qcow2 qcow2 "$LUKS" 1M 'write -P 5 0 1M'
amend() { # amend OPTIONS NEW-KEY
	local tries=0
	until qemu-img amend --object "secret,id=s0,file=$KEY" --object "secret,id=s1,data=$2" -o "$1" \
		--image-opts driver=qcow2,file.filename=disk.qcow2,encrypt.key-secret=s0 2>amend.err; do
		cat amend.err
		[ $((tries += 1)) -lt 20 ] || fail "qemu-img amends $1"
	done
}
opens() { # opens KEY
	printf %s "$1" >this
	mount_fs -o key-file=this disk.qcow2 mnt
	[ "$(tr -d '\5' <mnt/disk.raw | wc -c)" = 0 ] || fail "with $1 it is read"
	unmount mnt
}
refused() { # refused KEY
	printf %s "$1" >this
	refuses 4 'does not fit$' -o key-file=this disk.qcow2 mnt
}

slots=(7 3 1 2 4 5 6)
[ "${LONG:-}" ] || slots=(7 3 "$((RANDOM % 2 + 1))") # QEMU takes seconds to make one
for slot in "${slots[@]}"; do
	refused "the key of slot $slot"
	amend "encrypt.state=active,encrypt.new-secret=s1,encrypt.keyslot=$slot,encrypt.iter-time=10" "the key of slot $slot"
	opens "the key of slot $slot"
done
for slot in "${slots[@]}"; do opens "the key of slot $slot"; done
opens "$(cat "$KEY")"
amend encrypt.state=inactive,encrypt.keyslot=3 unused
refused 'the key of slot 3'
opens 'the key of slot 7'
# Writing changes nothing of that.
"$QCOWFS" -o rw,key-file=this disk.qcow2 mnt
MOUNTS+=("$(realpath mnt)")
printf '\5\5\5' | dd of=mnt/disk.raw bs=1 seek=70001 conv=notrunc status=none
unmount mnt
opens "the key of slot ${slots[2]}"
opens 'the key of slot 7'
encrypted_sound disk.qcow2
