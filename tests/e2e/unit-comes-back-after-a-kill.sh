#!/bin/bash
# SPDX-License-Identifier: MIT
# The unit qcowfs@.service comes back by itself after kill -9: its commands are run here as systemd
# runs them, which sets up the runtime directory before each start.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
UNIT=$TEST_BUILD/qcowfs@.service
[ -e "$UNIT" ] || fail "the unit is built"

mkdir src run
image src/disk.qcow2 1M "write -P 1 0 1M"
setting() { # setting NAME: its value, with what systemd puts into it
	sed -n "s/^$1=//p" "$UNIT" | sed "s|%t|$PWD/run|g; s|%i|i|g; s|%f|$PWD/src|g; s|\${OPTIONS}|ro,allow_other|g
		s|^[^ ]*/qcowfs |$QCOWFS |"
}
[ "$(setting Restart)" = on-failure ] || fail "it is started again"
[ "$(setting Environment)" = OPTIONS=ro,allow_other ] || fail "it has the options that are used here"
[ "$(setting RuntimeDirectory)" = qcowfs/i ] || fail "it has a folder to mount on"
read -r -a START <<<"$(setting ExecStart)"
read -r -a STOPPED <<<"$(setting ExecStopPost | sed 's/^-//')"

start() {
	rm -rf --one-file-system run/qcowfs && mkdir -p run/qcowfs/i || fail "the runtime directory"
	"${START[@]}" 2>>log &
	PID=$!
	PROCESSES+=("$PID")
	MOUNTS=("$PWD/run/qcowfs/i")
	until_true 20 test -e run/qcowfs/i/disk.raw
}
stopped() { "${STOPPED[@]}"; }

start
exec 3<run/qcowfs/i/disk.raw # a loop device that is in use
for _ in 1 2; do
	kill -9 "$PID"
	wait "$PID" 2>/dev/null || :
	stopped || fail "what is left is unmounted"
	start
	[ "$(head -c 1 run/qcowfs/i/disk.raw | xxd -p)" = 01 ] || fail "it serves again"
done
exec 3<&-
kill "$PID"
wait "$PID" || fail "it ends in order"
stopped && fail "nothing is left"
[ "$(grep -c . log || :)" = 0 ] || fail "nothing is said: $(cat log)"
