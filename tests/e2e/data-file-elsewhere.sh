#!/bin/bash
# SPDX-License-Identifier: MIT
# An external data file that was moved: data-file=NAME=PATH says where the file of that name is now,
# for reading and writing, and whatever the rule for other files.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p there mnt
OPTS=data_file=vm.data image vm.qcow2 1M "write -P 1 0 1M"
OPTS="data_file=a=b.data" image odd.qcow2 1M "write -P 2 0 1M"
mv vm.data there/moved=now
refuses 2 'vm.data' vm.qcow2 mnt
for rule in samedir none; do
	"$QCOWFS" -o "backing=$rule,data-file=vm.data=$PWD/there/moved=now" vm.qcow2 mnt || fail "it is found: $rule"
	MOUNTS+=("$PWD/mnt")
	[ "$(head -c 1 mnt/vm.raw | xxd -p)" = 01 ] || fail "it is read"
	printf "$rule" | dd of=mnt/vm.raw bs=1 seek=4096 conv=notrunc,fsync status=none || fail "it is written"
	unmount mnt
	[ "$(dd if=there/moved=now bs=1 skip=4096 count=4 status=none)" = "${rule:0:4}" ] || fail "in the file"
done
refuses 2 'vm.data' -o "data-file=other=$PWD/there/moved=now" vm.qcow2 mnt
refuses 2 'vm.data' -o "data-file=vm.data=there/moved=now" vm.qcow2 mnt
refuses 2 "there/gone" -o "data-file=vm.data=$PWD/there/gone" vm.qcow2 mnt

# A name with "=" is a name, still.
"$QCOWFS" -o data-file=a=b.data odd.qcow2 mnt || fail "a name with ="
MOUNTS+=("$PWD/mnt")
printf x | dd of=mnt/odd.raw conv=notrunc status=none || fail "it is written"
unmount mnt
