#!/bin/bash
# SPDX-License-Identifier: MIT
# In the background errors, and the counters, go to syslog.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
own_mounts # with a /dev of our own, in which we are the log
mkdir dev src
requires mount -t tmpfs none dev
mknod -m 666 dev/fuse c 10 229
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/urandom c 1 9
ln -s /proc/self/fd dev/fd
mount --bind dev /dev
python3 - "$PWD/log" <<'END' &
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('/dev/log')
os.chmod('/dev/log', 0o666)
while True:
    with open(sys.argv[1], 'ab') as f:
        f.write(s.recv(65536) + b'\n')
END
PROCESSES+=($!)
until_true 10 test -S /dev/log

image src/good.qcow2 1M
head -c 60 src/good.qcow2 >src/cut.qcow2
mount_fs src mnt
fails_with 'Input/output error' cat mnt/cut.raw
until_true 10 grep -q 'qcowfs\[[0-9]*\]: cut.qcow2: .*header' log
pid=$(sed -n 's/.*qcowfs\[\([0-9]*\)\]: cut.*/\1/p' log)
kill -USR1 "$pid"
until_true 10 grep -q "qcowfs\[$pid\]: counters" log
unmount mnt
gone() { ! kill -0 "$pid"; }
until_true 10 gone
