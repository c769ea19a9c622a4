#!/bin/bash
# SPDX-License-Identifier: MIT
# An image that another program changes is not read through its overlay
# before; where nothing was, it is read as it is now.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"

mkdir src
image src/written.qcow2 1M "write -P 1 0 1M"
image src/read.qcow2 1M "write -P 1 0 1M"
image src/replaced.qcow2 1M "write -P 1 0 1M"
mount_with cow log src mnt
for i in read replaced; do cat mnt/$i.raw >/dev/null; done
for i in written replaced; do printf mine | dd of=mnt/$i.raw conv=notrunc status=none; done
changed() { qemu-io -f qcow2 -c "write -P 2 64k 64k" "src/$1.qcow2"; }
until_true 10 changed written # as soon as it is closed
until_true 10 changed read
shows_as mnt/read.raw src/read.qcow2
fails_with 'Input/output error' cat mnt/written.raw
grep -q 'written.qcow2: .*another program changed it' log || { cat log; fail "the log says why"; }
qemu-img resize -q src/read.qcow2 2M
until_true 5 test "$(stat -c %s mnt/read.raw)" -gt 0
shows_as mnt/read.raw src/read.qcow2
printf mine | dd of=mnt/read.raw conv=notrunc status=none
[ "$(head -c 4 mnt/read.raw)" = mine ] || fail "it can be written"

# Another file in its place is another image, in which nothing was written.
image src/new 1M "write -P 3 0 1M"
mv src/new src/replaced.qcow2
until_true 5 cmp -s -n 1 mnt/replaced.raw <(printf '\3')
shows_as mnt/replaced.raw src/replaced.qcow2
unmount_rw mnt
