#!/bin/bash
# SPDX-License-Identifier: MIT
# The views of an image are called after it.  Where a folder has that name, it keeps it; one that
# comes later is not shown.  Names stay.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/vm.snapshots src/vm.chain/sub mnt
image src/vm.qcow2 1M
image src/vm.qcow 1M "write -P 1 0 1M"
image src/a.snapshots.qcow2 1M
image src/vm.snapshots/inner.qcow2 1M
qemu-img snapshot -c one src/vm.qcow2
mount_fg log -o snapshots,chain,info src mnt
is() { # is NAMES
	[ "$(names mnt)" = "$1" ] || fail "these are shown: $1, not $(names mnt)"
}
is "a.snapshots.chain a.snapshots.json a.snapshots.map a.snapshots.raw a.snapshots.snapshots vm.chain vm.chain.chain vm.json vm.map vm.qcow2.chain vm.qcow2.json vm.qcow2.map vm.qcow2.raw vm.qcow2.snapshots vm.raw vm.snapshots vm.snapshots.snapshots"
[ "$(names mnt/vm.snapshots)" = "inner.chain inner.json inner.map inner.raw inner.snapshots" ] || fail "the folder is shown"
[ "$(names mnt/vm.qcow2.snapshots)" = one ] || fail "this is of vm.qcow2"
[ "$(names mnt/vm.chain)" = sub ] || fail "the other folder is shown"

mkdir src/a.snapshots.chain src/late
names mnt
[ "$(names mnt/a.snapshots.chain)" = "0-a.snapshots.qcow2.own.raw 0-a.snapshots.qcow2.raw" ] || fail "a name that was given stays"
grep -q 'a.snapshots.chain is not shown' log || { cat log; fail "the log says so"; }
image src/late.qcow2 1M
qemu-img snapshot -c two src/late.qcow2
[ "$(names mnt/late.snapshots)" = two ] || fail "a new image has its views"
rmdir src/vm.chain/sub src/vm.chain
[ "$(names mnt/vm.chain.chain)" = "0-vm.qcow.own.raw 0-vm.qcow.raw" ] || fail "that name stays, too"
rm src/late.qcow2
until_true 4 test ! -e mnt/late.snapshots
[ ! -e mnt/late.json ] || fail "all its views go with it"
unmount mnt
# Without the options there is nothing.
mount_fs src mnt
[ "$(names mnt)" = "a.snapshots.chain a.snapshots.raw late vm.qcow2.raw vm.raw vm.snapshots" ] || fail "only images: $(names mnt)"
unmount mnt
