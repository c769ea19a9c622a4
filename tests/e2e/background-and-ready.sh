#!/bin/bash
# SPDX-License-Identifier: MIT
# The command returns when the disk can be read; the daemon holds no folder and no terminal,
# and is gone when the mount is.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

daemon_of() { # daemon_of MOUNTPOINT: its process, or nothing
	pgrep -f -x -- ".*/qcowfs -o ro .* $1" || :
}
no_daemon() { [ -z "$(daemon_of "$1")" ]; }

mkdir src
image src/disk.qcow2 1M "write -P 1 0 1M"
for source in src src/disk.qcow2; do
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		out=$(mount_fs "$PWD/$source" "$PWD/mnt" 2>&1) # hangs, if the daemon keeps the pipe
		[ -z "$out" ] || fail "it says nothing: $out"
		[ "$(head -c 3 mnt/disk.raw | xxd -p)" = 010101 ] || fail "it can be read at once"
		pid=$(daemon_of "$PWD/mnt")
		[ "$(wc -w <<<"$pid")" = 1 ] || fail "there is one daemon: $pid"
		[ "$(readlink "/proc/$pid/cwd")" = / ] || fail "its folder is /"
		for fd in 0 1 2; do
			[ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || fail "descriptor $fd is /dev/null"
		done
		[ "$(ps -o sid= -p "$pid" | xargs)" = "$pid" ] || fail "it has a session of its own"
		unmount mnt
		until_true 10 no_daemon "$PWD/mnt"
	done
done

# A mount that fails leaves no daemon.
refuses 2 'none' "$PWD/none.qcow2" "$PWD/mnt"
until_true 10 no_daemon "$PWD/mnt"

# Nor does a second mount over the first end the first.  The kernel lets no setuid program, as
# fusermount3, into the mount of a user; so only root can do that.
[ "$(id -u)" = 0 ] || exit 0
mount_fs src/disk.qcow2 mnt
mount_fs src mnt
unmount mnt
[ -e mnt/disk.raw ] || fail "the first is there, still"
unmount mnt
