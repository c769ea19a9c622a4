#!/bin/bash
# SPDX-License-Identifier: MIT
# --help and --version print to stdout, with status 0; options may stand anywhere before --.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

for option in -h --help; do
	"$QCOWFS" $option >out 2>err || fail "status 0"
	grep -q '^usage: qcowfs' out || fail "it shows the usage"
	[ ! -s err ] || fail "nothing on stderr"
done
for option in -V --version; do
	"$QCOWFS" $option >out 2>err || fail "status 0"
	grep -Eq '^qcowfs [0-9]+\.[0-9]+' out || fail "it shows the version"
	for library in fuse blkid gcrypt seccomp jansson deflate; do
		grep -Eq "^lib$library ([0-9.]+|none)" out || fail "it shows the version of $library"
	done
done
image ./-disk.qcow2 1M "write -P 1 0 1M"
mkdir mnt
"$QCOWFS" ./-disk.qcow2 mnt -o ro || fail "options may stand behind the operands"
MOUNTS+=("$PWD/mnt")
unmount mnt
"$QCOWFS" -r -- -disk.qcow2 mnt || fail "-- ends the options"
shows_as mnt/-disk.raw ./-disk.qcow2
MOUNTS+=("$PWD/mnt")
unmount mnt
