#!/bin/bash
# SPDX-License-Identifier: MIT
# With allow_other the mode decides which users may read; without it only the mounting user may.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
requires setpriv --reuid=65534 --regid=65534 --clear-groups true
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }
requires as_nobody test -x "$TEST_TMP"

mkdir src
image src/open.qcow2 1M
image src/closed.qcow2 1M
chmod 644 src/open.qcow2
chmod 600 src/closed.qcow2
mount_fs -o allow_other src mnt
as_nobody cmp -n 1048576 mnt/open.raw /dev/zero || fail "everybody may read it"
fails_with 'Permission denied' as_nobody cat mnt/closed.raw
unmount mnt
mount_fs src mnt
fails_with 'Permission denied' as_nobody cat mnt/open.raw
unmount mnt
