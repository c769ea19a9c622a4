#!/bin/bash
# SPDX-License-Identifier: MIT
# The kernel reads further ahead on a mount that root makes; the mount of a user, and a
# setting that is already higher, do not change.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
own_mounts
mkdir mnt
image disk.qcow2 8M "write -P 1 0 8M"
ahead() { cat "/sys/class/bdi/$(mountpoint -d mnt)/read_ahead_kb"; }
requires test -d /sys/class/bdi

for options in '' sandbox=off; do
	mount_fs ${options:+-o $options} disk.qcow2 mnt
	head -c 1 mnt/disk.raw >/dev/null
	[ "$(ahead)" = 4096 ] || fail "read ahead of $(ahead) KiB"
	unmount mnt
done

mount_fs disk.qcow2 mnt
echo 8192 >"/sys/class/bdi/$(mountpoint -d mnt)/read_ahead_kb"
head -c 1 mnt/disk.raw >/dev/null
[ "$(ahead)" = 8192 ] || fail "it stays at 8192 KiB"
unmount mnt
