#!/bin/sh
setsid /tmp/wt-create/qcowfs 1000 &
echo $! >/tmp/wt-create/pid
wait
