#!/bin/bash
# SPDX-License-Identifier: MIT
# A fifo, a device, a socket or a folder is not opened as backing or data file: refused at once.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir mnt folder
mkfifo fifo
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
ln -s fifo link
names=(fifo socket folder . link /dev/zero /dev/null)
if mknod device c 1 5 2>/dev/null; then names+=(device); fi
for name in "${names[@]}"; do
	qemu-img create -q -u -f qcow2 -b "$name" -F raw over.qcow2 1M
	for policy in samedir any; do
		refuses 2 "$name" -o backing=$policy over.qcow2 mnt
	done
done
OPTS=data_file=data image data.qcow2 1M
rm data
mkfifo data
refuses 2 'data' data.qcow2 mnt
refuses 2 'data' -o backing=any data.qcow2 mnt
