#!/bin/bash
# SPDX-License-Identifier: MIT
# The one SOURCE that has gone, or has become another kind of file, says so when it is opened.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

image one.qcow2 1M
mount_fg log one.qcow2 mnt
rm one.qcow2
fails_with 'No such file or directory' cat mnt/one.raw
until_true 3 sh -c 'ls -l mnt/one.raw 2>&1 | grep "No such file"'
mkdir one.qcow2
until_true 3 sh -c 'cat mnt/one.raw 2>&1 | grep "Input/output error"'
grep -q 'one.qcow2: not a regular file' log || { cat log; fail "the log says so"; }
[ "$(stat -c %s mnt/one.raw)" = 0 ] || fail "it is listed, with size 0"
rmdir one.qcow2
image one.qcow2 2M
is_back() { [ "$(stat -c %s mnt/one.raw)" = 2097152 ]; }
until_true 3 is_back
cat mnt/one.raw >/dev/null
unmount mnt
