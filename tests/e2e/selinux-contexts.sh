#!/bin/bash
# SPDX-License-Identifier: MIT
# The context options of SELinux get to mount(2), with the commas of their values; a kernel
# without SELinux refuses them, and the message says that.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
requires strace true

image disk.qcow2 1M
mkdir mnt
gets() { # gets OPTION TEXT: mount(2) has the text among its data
	local p
	# LeakSanitizer cannot run in a process that is traced.
	ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 strace -f -s 400 -e trace=mount -o calls "$QCOWFS" -f -o "ro,$1" disk.qcow2 mnt 2>err &
	p=$!
	until is_mounted mnt || [ ! -d "/proc/$p/fd" ]; do sleep 0.05; done
	umount mnt 2>/dev/null || :
	wait "$p" || :
	grep '^[0-9]* *mount(' calls | grep -Eq -- "[\",]$2[\",]" || { cat calls err; fail "$1 gets to the kernel"; }
}
for name in context fscontext defcontext rootcontext; do
	gets "$name=u:r:t:s0" "$name=u:r:t:s0"
	gets "$name=\"u:r:t:s0:c1,c2\",noexec" "$name=\\\\\"u:r:t:s0:c1,c2\\\\\""
done
gets 'context=u:r:t:s0:c1\,c2' 'context=\\"u:r:t:s0:c1,c2\\"'
if [ ! -e /sys/fs/selinux ]; then
	refuses 5 'mountpoint mnt: the kernel has no SELinux' -o context=u:r:t:s0 disk.qcow2 mnt
fi
