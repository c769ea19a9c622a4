# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# loop.sh - loop_device_carries FS: makes a file system on a plain file, puts it into images,
# and reads it back through the mount and a loop device.
# shellcheck source=functions.sh
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

attach() { # attach [OPTION...] FILE: $LOOP
	LOOP=$(losetup -f --show "$@")
	LOOPS=("$LOOP")
}

detach() {
	losetup -d "$LOOP"
	LOOPS=()
}

populate() {
	local i
	mkdir "$1/many"
	for i in $(seq 400); do head -c $((i * 37)) /dev/urandom >"$1/many/$i"; done
	head -c 9000000 /dev/urandom >"$1/big"
	head -c 5000000 /dev/zero >"$1/zeros"
	truncate -s 50M "$1/sparse"
	printf end >>"$1/sparse"
	ln -s big "$1/link"
	seq 300000 >"$1/text"
}

sums() {
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

loop_device_carries() {
	local fs=$1 direct image
	requires_root
	requires which "mkfs.$fs"
	requires losetup -f
	grep -qw "$fs" /proc/filesystems || requires modprobe "$fs"
	mkdir real src
	truncate -s 320M fs.raw
	"mkfs.$fs" -q fs.raw
	attach fs.raw
	mount "$LOOP" real
	populate real
	umount real
	qemu-img convert -f raw -O qcow2 -o extended_l2=on fs.raw src/base.qcow2
	mount "$LOOP" real
	rm real/many/*7
	head -c 3000000 /dev/urandom >real/new
	sums real >want
	umount real
	detach
	(cd src && qemu-img convert -f raw -O qcow2 -B base.qcow2 -F qcow2 ../fs.raw over.qcow2)
	qemu-img convert -c -f raw -O qcow2 fs.raw src/packed.qcow2
	mount_fs src mnt
	for image in packed over; do
		for direct in off on; do
			attach -r --direct-io=$direct mnt/$image.raw
			mount -o ro "$LOOP" real
			sums real | diff want - || fail "$image: all files, direct-io=$direct"
			umount real
			detach
		done
		same mnt/$image.raw fs.raw
	done
	until_true 10 unmount mnt
}
