#!/bin/bash
# SPDX-License-Identifier: MIT
# All threads of the daemon are in the sandbox, those that are made later as well; root keeps
# one capability, and with sandbox=off nothing is given up. -v logs in one line which parts are in force.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

of_all() { # of_all FIELD: its values in all threads of $DAEMON
	cat /proc/"$DAEMON"/task/*/status | sed -n "s/^$1:[[:space:]]*//p" | sort -u | xargs
}
busy() { # many readers and a writer, so that there are all the threads that there can be
	local i readers=()
	until_true 10 grep -q 'sandbox: no new' log
	for i in 1 2 3 4 5 6 7 8; do
		cat mnt/disk.raw >/dev/null &
		readers+=($!)
	done
	wait "${readers[@]}"
}

mkdir src
image src/disk.qcow2 4M "write -P 1 0 4M"
mount_fg log -v src mnt
busy
[ "$(of_all NoNewPrivs)" = 1 ] || fail "no new privileges: $(of_all NoNewPrivs)"
[ "$(of_all CapAmb) $(of_all CapInh)" = "0000000000000000 0000000000000000" ] || fail "no others"
if [ "$(id -u)" = 0 ]; then # read-only: CAP_DAC_READ_SEARCH
	for i in CapEff CapPrm CapBnd; do
		[ "$(of_all $i)" = 0000000000000004 ] || fail "$i: $(of_all $i)"
	done
fi
grep '^qcowfs: sandbox: ' log
[ "$(grep -c '^qcowfs: sandbox: no new privileges' log)" = 1 ] || fail "one line says what is in force"
if grep -q 'filter of system calls' log; then
	[ "$(of_all Seccomp)" = 2 ] || fail "the filter is in force: $(of_all Seccomp)"
fi
unmount mnt

"$QCOWFS" -f -v src mnt 2>log &
DAEMON=$!
PROCESSES+=("$DAEMON")
until_true 20 is_mounted mnt
MOUNTS+=("$PWD/mnt")
dd if=/dev/zero of=mnt/disk.raw bs=64k count=4 conv=notrunc status=none # makes the flusher
busy
[ "$(of_all NoNewPrivs)" = 1 ] || fail "no new privileges: $(of_all NoNewPrivs)"
if [ "$(id -u)" = 0 ]; then # CAP_DAC_OVERRIDE
	[ "$(of_all CapEff)" = 0000000000000002 ] || fail "capabilities: $(of_all CapEff)"
fi
unmount mnt

mount_fg log -v -o sandbox=off src mnt
cat mnt/disk.raw >/dev/null
[ "$(of_all NoNewPrivs)" = "$(sed -n 's/^NoNewPrivs:[[:space:]]*//p' /proc/self/status)" ] ||
	fail "nothing is given up"
[ "$(of_all CapEff)" = "$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)" ] || fail "nor that"
if grep sandbox log; then fail "nothing is said"; fi
unmount mnt
