#!/bin/bash
# SPDX-License-Identifier: MIT
# json: and nbd: names, and other URLs, are never followed, whatever backing= says.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir mnt
image base.qcow2 1M
for name in 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/hostname"}}' \
	nbd://localhost:1/x nbd:unix:/tmp/x nbd+unix:///x?socket=y http://localhost/x \
	file:base.qcow2 fat:rw:/tmp; do
	qemu-img create -q -u -f qcow2 -b "$name" -F raw over.qcow2 1M
	refuses 2 'not a path' over.qcow2 mnt
	refuses 2 'not a path' -o backing=any over.qcow2 mnt
done
cp base.qcow2 with:colon.qcow2
qemu-img create -q -u -f qcow2 -b ./with:colon.qcow2 -F qcow2 over.qcow2 1M
mount_fs over.qcow2 mnt
unmount mnt
