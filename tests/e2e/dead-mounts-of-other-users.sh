#!/bin/bash
# SPDX-License-Identifier: MIT
# What a killed daemon of a user has left, root takes over, also where only this user may look into
# the mount.  Another user is told how to unmount it, and a mount that lives stays.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_user_mounts

chmod 755 .
cp "$QCOWFS" qcowfs # whatever the modes of the folders above the build are
image disk.qcow2 1M "write -P 1 0 1M"
chmod 644 disk.qcow2
other() { setpriv --reuid=1234 --regid=1234 --clear-groups "$@"; }
is_dead() { as_user stat "$1" 2>&1 | grep -q 'Transport endpoint'; }
is_roots_dead() { stat "$1" 2>&1 | grep -q 'Transport endpoint'; }
count() { grep -c " $(realpath -m "$PWD")/$1 fuse" /proc/mounts || :; }
mkdir mnt run
chown 65534 mnt run

users_mount() { # users_mount MOUNTPOINT
	as_user ./qcowfs -r -o "pid-file=$PWD/run/pid" "$PWD/disk.qcow2" "$1" || fail "the user mounts"
	MOUNTS=("$PWD/$1")
}
users_dead() {
	users_mount "$1"
	kill -9 "$(cat run/pid)"
	until_true 20 is_dead "$1"
	rm run/pid
}
says() { # says STATUS REGEX COMMAND...
	local want=$1 regex=$2 status=0
	shift 2
	"$@" 2>err || status=$?
	[ $status = "$want" ] || fail "$*: status $status is $want: $(cat err)"
	grep -Eq "$regex" err || fail "$*: says $regex: $(cat err)"
	[ "$(wc -l <err)" = 1 ] || fail "$*: one line: $(cat err)"
}

# Root takes it over, and nothing is left below.
users_dead mnt
says 0 'mnt: unmounted what a killed daemon had left there' ./qcowfs -r disk.qcow2 mnt
[ "$(head -c 1 mnt/disk.raw | xxd -p)" = 01 ] || fail "it serves"
unmount mnt
[ "$(count mnt)" = 0 ] || fail "nothing is left below"

# So does its user.
users_dead mnt
says 0 'unmounted what a killed daemon had left there' as_user ./qcowfs -r "$PWD/disk.qcow2" mnt
as_user fusermount3 -u mnt

# Another user can neither look nor unmount.
users_dead mnt
says 5 'only user 65534 may look into the file system that is mounted there \(as root: umount; as this user: fusermount3 -u\)' \
	other ./qcowfs -r "$PWD/disk.qcow2" mnt
[ "$(count mnt)" = 1 ] || fail "it is still there"
as_user fusermount3 -u -z mnt || umount mnt

# Root's dead mount, which all may enter.
./qcowfs -r -o "allow_other,pid-file=$PWD/pid" disk.qcow2 mnt
MOUNTS=("$PWD/mnt")
kill -9 "$(cat pid)"
until_true 20 is_roots_dead mnt
rm -f pid
says 5 'a daemon of user 0 was killed and has left its mount \(as root: umount' \
	as_user ./qcowfs -r "$PWD/disk.qcow2" mnt
umount mnt

# One that lives.
users_mount mnt
says 5 'only user 65534 may look into' ./qcowfs -r disk.qcow2 mnt
[ "$(as_user head -c 1 mnt/disk.raw | xxd -p)" = 01 ] || fail "it lives"
as_user fusermount3 -u mnt
MOUNTS=()
