#!/bin/bash
# SPDX-License-Identifier: MIT
# With io_uring requests come through its rings, in the sandbox; many jobs read and write as
# QEMU does. A signal under load leaves a sound image. A libfuse that has none is refused.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires which fio

image disk.qcow2 64M "write -P 1 0 1M"
for list in io_uring_q_depth=0 io_uring_q_depth=1025 io_uring_q_depth=x; do
	refuses 1 "${list%=*}: '${list#*=}' is not N" -o "$list" disk.qcow2 nowhere
done
refuses 1 'io_uring: the option takes no value' -o io_uring=on disk.qcow2 nowhere
status=0
"$QCOWFS" -o io_uring disk.qcow2 nowhere 2>said || status=$?
[ "$status" = 1 ] || [ "$status" = 5 ] || fail "status $status without a mountpoint"
if grep -q 'io_uring: the libfuse' said; then
	[ "$status" = 1 ] || fail "status $status is that of a bad option"
	refuses 1 'io_uring_q_depth: the libfuse .* does not have it' -o io_uring_q_depth=4 disk.qcow2 mnt
	skip "needs a libfuse with io_uring"
fi
refuses 1 'io_uring: not together with -s' -s -o io_uring disk.qcow2 nowhere
[ "$(cat /sys/module/fuse/parameters/enable_uring 2>/dev/null)" = Y ] ||
	skip "needs a kernel with FUSE over io_uring: Y in /sys/module/fuse/parameters/enable_uring"
[ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" = 0 ] ||
	skip "needs a kernel with io_uring: kernel.io_uring_disabled=0"

# rings: how many threads of the daemon take requests from a ring, and how often they waited.
rings() {
	local task n=0 waits=0
	for task in /proc/"$DAEMON"/task/*; do
		[[ $(cat "$task/comm") == fuse-ring-* ]] || continue
		n=$((n + 1))
		waits=$((waits + $(awk '/^voluntary/ { print $2 }' "$task/status")))
	done
	echo $n $waits
}

jobs_of() { # jobs_of OPTION...: four, which verify their writes
	fio --name=v --filename=mnt/disk.raw --size=4m --numjobs=4 --offset_increment=4m \
		--rw=randwrite --bsrange=512-256k --blockalign=512 --verify=sha256 \
		--verify_fatal=1 --do_verify=1 --fsync=50 --randseed="$SEED" --group_reporting \
		"$@" >fio.out 2>&1 || {
		tail -n 30 fio.out
		fail "fio $*"
	}
}

threads_are_alike() { # the rings' with the others: in the sandbox, or out of it
	[ "$(grep -h -e ^Seccomp: -e ^CapEff: -e ^NoNewPrivs: /proc/"$DAEMON"/task/*/status |
		sort -u | wc -l)" = 3 ] || fail "all threads are in the sandbox"
}

story() { # story MOUNT-OPTION...
	mount_rw log "$@" disk.qcow2 mnt
	ls mnt >/dev/null
	read -r n before < <(rings)
	[ "$n" = "$(getconf _NPROCESSORS_CONF)" ] || fail "$n rings, one for each processor"
	threads_are_alike
	jobs_of --ioengine=psync
	jobs_of --ioengine=libaio --iodepth=16 --direct=1
	read -r n after < <(rings)
	echo "# the rings waited $((after - before)) times"
	[ $((after - before)) -gt 100 ] || fail "requests come by the rings ($before, $after waits)"
	fallocate -p -o 1M -l 3M mnt/disk.raw
	cp --sparse=always mnt/disk.raw copy.raw
	readers=()
	for _ in 1 2 3 4 5 6; do
		cmp mnt/disk.raw copy.raw &
		readers+=($!)
	done
	for reader in "${readers[@]}"; do wait "$reader" || fail "the same bytes, $*"; done
	unmount_rw mnt
	sound disk.qcow2
	shows_as copy.raw disk.qcow2
}
story -o io_uring
story -o io_uring,io_uring_q_depth=1,sandbox=off
story -o io_uring,io_uring_q_depth=32,direct_io,threads=2

# A write in progress ends; then the image is closed.
for _ in 1 2 3; do
	mount_rw log -o io_uring disk.qcow2 mnt
	fio --name=l --filename=mnt/disk.raw --size=64m --numjobs=4 --rw=randwrite --bs=64k \
		--ioengine=libaio --iodepth=8 --direct=1 --time_based --runtime=20 \
		>fio.out 2>&1 &
	load=$!
	sleep 0.$((RANDOM % 5 + 3))
	kill "$DAEMON"
	until_true 20 are_gone "$DAEMON"
	wait "$DAEMON" || fail "status $? is 0"
	wait "$load" || true
	sound disk.qcow2
done
