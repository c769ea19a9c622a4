#!/bin/bash
# SPDX-License-Identifier: MIT
# fio verifies its writes by checksums: four jobs, with and without direct I/O at depth
# 16, on the file and on a loop device; and so does QEMU.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires which fio
SIZE=12m
[ -z "${TEST_SANITIZER:-}" ] || SIZE=4m
[ -z "${LONG:-}" ] || SIZE=60m

verify() { # FILE [OPTION...]
	local file=$1
	shift
	fio --name=v --filename="$file" --size=$SIZE --numjobs=4 --offset_increment=$SIZE \
		--rw=randwrite --bsrange=512-128k --blockalign=512 --verify=sha256 \
		--verify_fatal=1 --do_verify=1 --fsync=50 --randseed="$SEED" --group_reporting \
		"$@" >fio.out 2>&1 || {
		tail -n 30 fio.out
		fail "fio $file $*"
	}
}

story() { # FORMAT OPTIONS [MOUNT-OPTION...]
	FMT=$1 OPTS=$2 image disk.img 256M
	shift 2
	mount_rw log "$@" disk.img mnt
	verify mnt/disk.raw --ioengine=psync
	verify mnt/disk.raw --ioengine=libaio --iodepth=16 --direct=1
	if [ "$(id -u)" = 0 ] && losetup -f >/dev/null 2>&1; then
		for direct in on off; do
			attach --direct-io=$direct mnt/disk.raw
			verify "$LOOP" --ioengine=libaio --iodepth=16 --direct=1
			detach
		done
	fi
	sha256sum <mnt/disk.raw >ours
	unmount_rw mnt
	[ "$fmt" = qcow ] || sound disk.img
	qemu-img convert -f "$fmt" -O raw disk.img theirs.raw
	sha256sum <theirs.raw | diff ours - || fail "QEMU reads the same"
	rm disk.img theirs.raw
}

for fmt in qcow qcow2; do story $fmt "" ; done
fmt=qcow2
story qcow2 compat=0.10,cluster_size=4k -o direct_io
story qcow2 extended_l2=on,cluster_size=128k
