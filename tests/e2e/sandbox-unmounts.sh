#!/bin/bash
# SPDX-License-Identifier: MIT
# An ordinary user's daemon, which can start no program any more, unmounts in order: by a
# signal, also one to its whole group, by timeout=, with files open, in the foreground and in
# the background; with auto_unmount also when it is killed. No process is left.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
own_mounts # with a /dev/fuse for everybody
requires_user_mounts

mkdir -p home/mnt
cp "$QCOWFS" home/qcowfs
image home/disk.qcow2 1M "write -P 1 0 1M"
chown -R 65534:65534 home
cd home
daemon() { pgrep -f -x "[^ ]*/qcowfs .* $PWD/mnt" || :; }
started() { # notes the processes of the mount
	local pid
	pid=$(daemon)
	PIDS=("$pid")
	mapfile -t -O 1 PIDS < <(pgrep -P "$pid" -f 'qcowfs-unmount' || :)
	MOUNTS=("$PWD/mnt")
}
runs() { [ -n "$(tr -d '\0' <"/proc/$1/cmdline")" ]; } 2>/dev/null
is_gone() { # is_gone WHEN: to be told if it is not
	local pid
	for pid in "${PIDS[@]}"; do if runs "$pid"; then return 1; fi; done
	! is_mounted mnt
}
gone() { # gone WHEN
	until_true 20 is_gone "$@"
	stat mnt/disk.raw >/dev/null 2>&1 && fail "the folder is empty again"
	MOUNTS=()
}

for user in 65534 0; do
	as_user() { env --default-signal=INT,HUP setpriv --reuid=$user --regid=$user --clear-groups "$@"; }
	for options in '' '-s'; do
		for sig in TERM INT HUP; do
			for open in '' open; do
				# shellcheck disable=SC2086
				as_user "$PWD/qcowfs" $options "$PWD/disk.qcow2" "$PWD/mnt"
				started
				if [ "$open" ]; then
					rm -f ../opened
					as_user sh -c 'exec <mnt/disk.raw; echo $$ >&2; exec sleep 600000' 2>../opened &
					until_true 10 grep -q . ../opened
					PROCESSES+=("$(cat ../opened)")
				fi
				kill -$sig "$(daemon)"
				gone "user $user $options $sig $open"
				if [ "$open" ]; then kill "$(cat ../opened)"; fi
			done
		done
	done

	# In the foreground: ^C goes to all of its group.
	set -m
	as_user "$PWD/qcowfs" -f "$PWD/disk.qcow2" "$PWD/mnt" 2>../log &
	pid=$!
	set +m
	until_true 20 is_mounted mnt
	started
	[ ${#PIDS[@]} = 2 ] || fail "a daemon and its helper: ${PIDS[*]}"
	kill -INT -- -$pid
	wait $pid || fail "status $? is 0"
	gone "user $user ^C"
	[ ! -s ../log ] || { cat ../log; fail "it says nothing"; }

	as_user "$PWD/qcowfs" -o timeout=1 "$PWD/disk.qcow2" "$PWD/mnt"
	started
	gone "user $user timeout"

	# Killed: then auto_unmount does it.
	for sandbox in off on; do
		as_user "$PWD/qcowfs" -o sandbox=$sandbox,auto_unmount "$PWD/disk.qcow2" "$PWD/mnt"
		started
		kill -KILL "$(daemon)"
		gone "user $user killed, sandbox=$sandbox"
	done
	as_user "$PWD/qcowfs" -o auto_unmount "$PWD/disk.qcow2" "$PWD/mnt"
	started
	kill -TERM "$(daemon)"
	gone "user $user auto_unmount TERM"
	as_user "$PWD/qcowfs" "$PWD/disk.qcow2" "$PWD/mnt"
	started
	kill -KILL "$(daemon)"
	no_process() { ! runs "${PIDS[0]}" && ! runs "${PIDS[1]:-0}"; }
	until_true 10 no_process
	fails_with 'not connected' as_user stat mnt
	as_user fusermount3 -u mnt || umount mnt
	gone "user $user killed"
done

# After an unmount by another program, it leaves later mounts there alone.
"$PWD/qcowfs" "$PWD/disk.qcow2" "$PWD/mnt"
started
first=("${PIDS[@]}")
"$PWD/qcowfs" -o fsname=second "$PWD/disk.qcow2" "$PWD/mnt"
umount mnt
is_the_first() { [ "$(daemon)" = "${first[0]}" ]; }
until_true 10 is_the_first
cmp -n 1000 mnt/disk.raw <(head -c 1000 /dev/zero | tr '\0' '\1') || fail "the first is there"
umount mnt
PIDS=("${first[@]}")
gone unmounted
