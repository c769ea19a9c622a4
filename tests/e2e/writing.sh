# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# writing.sh - the library of the shell tests of writing.
# shellcheck source=functions.sh
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

# mount_rw LOG [OPTION...] SOURCE MOUNTPOINT: with -f; its process is $DAEMON.
mount_rw() {
	mount_with rw "$@"
}

# unmount_rw MOUNTPOINT: and the daemon ends in order.
unmount_rw() {
	unmount "$1"
	wait "$DAEMON" || fail "the daemon's status is $?"
}

# sound IMAGE: no corruption, and no leak.
sound() {
	qemu-img check -f qcow2 "$1" >check.out 2>&1 || {
		cat check.out
		fail "qemu-img check $1"
	}
}

# attach [OPTION...] FILE: to $LOOP.
attach() {
	LOOP=$(losetup -f --show "$@")
	LOOPS=("$LOOP")
	LOOP_FILE=$(behind_loop)
}

behind_loop() {
	cat "/sys/block/${LOOP#/dev/}/loop/backing_file" 2>/dev/null
}

detach() {
	losetup -d "$LOOP"
	LOOPS=()
	until_true 10 is_detached
}

# Another may have taken the device at once.
is_detached() {
	[ "$(behind_loop)" != "$LOOP_FILE" ]
}

sums() {
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

# space IMAGE: its space on the host's disk, in KiB.
space() {
	du -k "$1" | cut -f 1
}
