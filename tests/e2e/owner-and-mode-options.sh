#!/bin/bash
# SPDX-License-Identifier: MIT
# uid=, gid= and umask= change the shown owner and mode.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/lab
image src/disk.qcow2 1M
chmod 664 src/disk.qcow2
chmod 775 src/lab
mount_fs -o uid=1234,gid=4321,umask=027 src mnt
[ "$(stat -c '%u %g %a' mnt/disk.raw)" = "1234 4321 440" ] || fail "$(stat mnt/disk.raw)"
[ "$(stat -c '%u %g %a' mnt/lab)" = "1234 4321 550" ] || fail "$(stat mnt/lab)"
unmount mnt
