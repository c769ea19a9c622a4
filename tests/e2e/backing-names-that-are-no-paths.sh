#!/bin/bash
# SPDX-License-Identifier: MIT
# Names of other protocols are never followed, whatever backing= says; json: and file: names of local
# files are, under the rules of backing=.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir mnt
image base.qcow2 1M
for name in nbd://localhost:1/x nbd:unix:/tmp/x nbd+unix:///x?socket=y http://localhost/x \
	fat:rw:/tmp; do
	qemu-img create -q -u -f qcow2 -b "$name" -F raw over.qcow2 1M
	refuses 2 'not a path' over.qcow2 mnt
	refuses 2 'not a path' -o backing=any over.qcow2 mnt
done
cp base.qcow2 with:colon.qcow2
qemu-img create -q -u -f qcow2 -b ./with:colon.qcow2 -F qcow2 over.qcow2 1M
mount_fs over.qcow2 mnt
unmount mnt

# The same bytes as by its path; outside of the folder only with backing=any.
qemu-io -c 'write -P 7 0 1M' base.qcow2 >/dev/null
mkdir elsewhere
cp base.qcow2 elsewhere/away.qcow2
json() { echo "json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\",\"filename\":\"$1\"}}"; }
for name in file:base.qcow2 "$(json "$PWD/base.qcow2")" "$(json base.qcow2)"; do
	qemu-img create -q -u -f qcow2 -b "$name" -F qcow2 over.qcow2 1M
	mount_fs over.qcow2 mnt
	cmp -n 4096 mnt/over.raw <(head -c 4096 /dev/zero | tr '\0' '\7')
	unmount mnt
done
mkdir sub
qemu-img create -q -u -f qcow2 -b "$(json "$PWD/elsewhere/away.qcow2")" -F qcow2 sub/over.qcow2 1M
refuses 2 "is outside of the image's folder" sub/over.qcow2 mnt
mount_fs -o backing=any sub/over.qcow2 mnt
unmount mnt
mount_fs -o "backing-map=$PWD/elsewhere:$PWD/elsewhere" sub/over.qcow2 mnt
unmount mnt
qemu-img create -q -u -f qcow2 -b 'json:{"driver":"nbd","host":"localhost"}' -F raw over.qcow2 1M
refuses 2 'drivers raw, qcow, qcow2 and file' -o backing=any over.qcow2 mnt
