#!/bin/bash
# SPDX-License-Identifier: MIT
# With backing=none no image opens another file.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir src mnt
image src/base.qcow2 1M "write -P 1 0 1M"
(cd src && overlay over.qcow2 base.qcow2 qcow2)
(cd src && image data.qcow2 1M && OPTS=data_file=d.bin image data.qcow2 1M "write -P 2 0 1M")
refuses 2 'base.qcow2.*backing=' -o backing=none src/over.qcow2 mnt
refuses 2 'd.bin.*backing=' -o backing=none src/data.qcow2 mnt
mount_fs -o backing=none src mnt
shows_as mnt/base.raw src/base.qcow2
[ "$(stat -c %s mnt/over.raw mnt/data.raw | xargs)" = "0 0" ] || fail "others have size 0"
fails_with 'Input/output error' cat mnt/over.raw
fails_with 'Input/output error' cat mnt/data.raw
unmount mnt
