#!/bin/bash
# SPDX-License-Identifier: MIT
# Where a killed daemon has left its mount, the next one takes it over; a mount that lives, and one
# of another kind, stay.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

image disk.qcow2 1M "write -P 1 0 1M"
die() { # die MOUNTPOINT [OPTION...] SOURCE: a daemon that is killed, with its helper's work undone
	local mnt=$1
	shift
	mount_fs -o "pid-file=$PWD/pid" "$@" "$mnt"
	kill -9 "$(cat pid)"
	until_true 20 is_dead "$mnt"
	rm -f pid
}
is_dead() { ! stat "$1" 2>/dev/null && stat "$1" 2>&1 | grep -q 'Transport endpoint'; }
count() { grep -c " $(realpath -m "$PWD")/$1 fuse" /proc/mounts; }

mkdir mnt "a b"
for mnt in mnt "a b"; do
	die "$mnt" disk.qcow2
	"$QCOWFS" -r disk.qcow2 "$mnt" 2>err || fail "it mounts: $(cat err)"
	grep -q 'unmounted what a killed daemon had left there' err || fail "and says so: $(cat err)"
	cmp -n 100 "$mnt/disk.raw" <(head -c 100 /dev/zero | tr '\0' '\1') || fail "it serves"
	unmount "$mnt"
done
[ "$(count mnt)" = 0 ] || fail "nothing is left below"

# At once, while the kernel still has the attributes.
mount_fs -o "pid-file=$PWD/pid" disk.qcow2 mnt
daemon=$(cat pid)
ls -l mnt >/dev/null
kill -9 "$daemon"
until_true 20 are_gone "$daemon"
rm -f pid
"$QCOWFS" -r disk.qcow2 mnt 2>err || fail "at once: $(cat err)"
grep -q 'unmounted what a killed daemon had left there' err || fail "and says so: $(cat err)"
unmount mnt

# Through a link, relative, and from inside of its folder.
ln -s mnt link
die mnt disk.qcow2
"$QCOWFS" -r disk.qcow2 link 2>err || fail "through a link: $(cat err)"
unmount mnt

# The image itself is the mountpoint, and is dead then, too.
die disk.qcow2 disk.qcow2
"$QCOWFS" -r disk.qcow2 disk.qcow2 2>err || fail "a file, which is SOURCE as well: $(cat err)"
[ "$(head -c 1 disk.qcow2 | xxd -p)" = 01 ] || fail "the file is the disk"
unmount disk.qcow2

# A mount that lives is mounted over, and is there again afterwards.
mount_fs disk.qcow2 mnt
"$QCOWFS" -r disk.qcow2 mnt 2>err || fail "over one that lives: $(cat err)"
[ ! -s err ] || fail "nothing is said: $(cat err)"
fusermount3 -u mnt
[ -e mnt/disk.raw ] || fail "the first one is there"
unmount mnt
