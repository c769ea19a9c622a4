#!/bin/bash
# SPDX-License-Identifier: MIT
# A folder that replaces an image is shown as a folder, and the reverse.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src
image one.qcow2 1M "write -P 1 0 1M"
cp one.qcow2 src/thing
mount_fs src mnt
[ "$(ls mnt)" = thing.raw ] || fail "an image"
rm src/thing
mkdir src/thing
cp one.qcow2 src/thing/x
until_true 3 test -d mnt/thing
shows_as mnt/thing/x.raw one.qcow2
[ "$(ls mnt)" = thing ] || fail "a folder: $(ls mnt)"
rm -r src/thing
cp one.qcow2 src/thing
until_true 3 test -f mnt/thing.raw
[ "$(ls mnt)" = thing.raw ] || fail "an image again: $(ls mnt)"
unmount mnt
