#!/bin/bash
# SPDX-License-Identifier: MIT
# A loop device on our file is made into ext4, xfs and btrfs, and filled with files, with and
# without direct I/O; they are all there when it is mounted again, the file system and the image
# are sound, and fstrim gives space back to the host.  LONG=1: ten times as many files.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root
requires losetup -f
FILES=2000
[ -z "${LONG:-}" ] || FILES=20000

tree() { # a tar of many small files, and some large
	mkdir tree tree/{0..19}
	python3 - "$FILES" "$SEED" <<-'END'
		import random, sys
		r = random.Random(sys.argv[2])
		for i in range(int(sys.argv[1])):
		    with open(f'tree/{i % 20}/{i}', 'wb') as f:
		        f.write(r.randbytes(r.choice([0, 1, 100, 4096, r.randrange(20000)])))
	END
	noise tree/large1 7000001 tree/large2 7000001 tree/large3 7000001
	truncate -s 30M tree/sparse
	printf end >>tree/sparse
	tar -C tree -cSf tree.tar .
	sums tree >want
	rm -r tree
}

check_fs() {
	case $1 in
	ext4) e2fsck -fn "$LOOP" ;;
	xfs) xfs_repair -n "$LOOP" ;;
	btrfs) btrfs check --readonly "$LOOP" ;;
	esac >fsck.out 2>&1
}

fsck_of() {
	# The kernel may be at the device for a moment after the unmount.
	check_fs "$1" || ! grep -q busy fsck.out || until_true 10 check_fs "$1"
	check_fs "$1" || {
		cat fsck.out
		fail "$1 is sound"
	}
}

carries() { # FS DIRECT OPTS: of the image
	local fs=$1 before
	OPTS=$3 image disk.qcow2 1G
	mount_rw log disk.qcow2 mnt
	attach "--direct-io=$2" mnt/disk.raw
	"mkfs.$fs" -q "$LOOP" >mkfs.out 2>&1
	mount "$LOOP" real
	MOUNTS+=("$PWD/real")
	tar -C real -xf tree.tar
	rm -r real/7
	tar -C real -xf tree.tar ./7
	unmount real
	fsck_of "$fs"
	detach
	unmount_rw mnt
	sound disk.qcow2
	mount_rw log disk.qcow2 mnt
	attach "--direct-io=$2" mnt/disk.raw
	mount "$LOOP" real
	MOUNTS+=("$PWD/real")
	sums real | diff want - || fail "$fs: all files are there"
	if [ "$fs" = ext4 ]; then
		before=$(space disk.qcow2)
		rm -r real/large*
		sync real
		fstrim real
		sync mnt/disk.raw
		[ "$(space disk.qcow2)" -lt $((before - 15000)) ] ||
			fail "fstrim gives back some of $before: $(space disk.qcow2) is left"
	fi
	unmount real
	fsck_of "$fs"
	detach
	cp --sparse=never mnt/disk.raw want.raw
	unmount_rw mnt
	sound disk.qcow2
	qemu-img compare -q -f raw -F qcow2 want.raw disk.qcow2 || fail "QEMU reads the same"
	rm disk.qcow2 want.raw
}

mkdir real
tree
for fs in ext4 xfs btrfs; do
	if ! which mkfs.$fs >/dev/null || ! { grep -qw $fs /proc/filesystems || modprobe $fs; }; then
		echo "# without $fs"
		continue
	fi
	carries $fs off compat=1.1
	carries $fs on compat=0.10
done
