#!/bin/bash
# SPDX-License-Identifier: MIT
# With -s, with one thread, and with many the bytes are the same, for many readers at once.
# sanitize: thread
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

noise ref.bin 8000000
qemu-img convert -c -f raw -O qcow2 ref.bin disk.qcow2
qemu-img convert -f qcow2 -O raw disk.qcow2 ref.bin
for options in -s "-o threads=1" "-o threads=3" "-o threads=64" "-o direct_io" ""; do
	# shellcheck disable=SC2086
	mount_fs $options disk.qcow2 mnt
	readers=()
	for _ in 1 2 3 4 5 6 7 8; do
		cmp mnt/disk.raw ref.bin &
		readers+=($!)
	done
	for reader in "${readers[@]}"; do wait "$reader" || fail "the same bytes, $options"; done
	unmount mnt
done
