#!/bin/bash
# SPDX-License-Identifier: MIT
# A wrong command line gives status 1, and a line that names the mistake.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

image disk.qcow2 1M
mkdir mnt src
refuses 1 'bogus: unknown option' -o bogus disk.qcow2 mnt
refuses 1 'bogus: unknown option' -o ro,bogus=1,nofail disk.qcow2 mnt
refuses 1 'threads.*many' -o threads=many disk.qcow2 mnt
refuses 1 'threads' -o threads=0 disk.qcow2 mnt
refuses 1 'threads' -o threads disk.qcow2 mnt
refuses 1 'ro' -o ro=1 disk.qcow2 mnt
refuses 1 'backing.*some' -o backing=some disk.qcow2 mnt
refuses 1 'locking' -o locking=maybe disk.qcow2 mnt
refuses 1 'cache-size' -o cache-size=12X disk.qcow2 mnt
refuses 1 'cache-size' -o cache-size=99999999999999999999G disk.qcow2 mnt
refuses 1 'timeout' -o timeout=-1 disk.qcow2 mnt
refuses 1 'umask' -o umask=9 disk.qcow2 mnt
refuses 1 'uid' -o uid=root disk.qcow2 mnt
refuses 1 'Z' -Z disk.qcow2 mnt
refuses 1 'bogus' --bogus disk.qcow2 mnt
refuses 1 'folder' src disk.qcow2
[ -z "$(ls mnt)" ] || fail "nothing was mounted"

wrong() { # wrong REGEX [ARG...]: without -o ro before it
	local regex=$1 status=0
	shift
	"$QCOWFS" "$@" 2>err >out || status=$?
	[ $status = 1 ] || fail "qcowfs $*: status $status is 1"
	grep -Eq "^qcowfs: .*$regex" err || { cat err; fail "it says: $regex"; }
}
wrong SOURCE
wrong MOUNTPOINT disk.qcow2
wrong operands disk.qcow2 mnt mnt
