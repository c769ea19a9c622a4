#!/bin/bash
# SPDX-License-Identifier: MIT
# sanitize: none
# timeout: 1800
# The files of a system are installed into a new image: mkfs and a loop device on a new name, then a
# tree with links, devices, owners and capabilities.  With LONG=1 also by debootstrap, from the mirror
# in DEBIAN_MIRROR or in the sources of apt.
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires_root

# install_into NAME COMMAND...: runs COMMAND with the folder `root`, on a new image.  Then the disk as
# QEMU reads it has the same files.
install_into() {
	local name=$1
	shift
	truncate -s "$SIZE" "m/$name.raw"
	attach "m/$name.raw"
	mkfs.ext4 -q "$LOOP"
	mount "$LOOP" root
	MOUNTS+=("$PWD/root")
	"$@"
	list_files root >files.written
	umount root
	detach
	umount m
	wait "$DAEMON" || fail "the daemon's status is $?"
	[ ! -s log ] || { cat log; fail "nothing is wrong"; }
	sound "src/$name.qcow2"
	qemu-img convert -O raw "src/$name.qcow2" out.raw
	e2fsck -fn out.raw >fsck.out 2>&1 || { cat fsck.out; fail "$name: its file system"; }
	attach -r out.raw
	mount -o ro "$LOOP" root
	list_files root >files.read
	cmp files.written files.read || { diff files.written files.read | head; fail "$name: its files"; }
	umount root
	detach
	rm out.raw
}

# list_files FOLDER: each name with its type, mode, owner, link or device, and the sums of all files.
list_files() {
	(cd "$1" && find . -xdev -printf '%p %y %m %U:%G %l %n\n' | sort && sums .)
}

copy_of_this_system() {
	local from
	for from in /etc /usr/share/zoneinfo /usr/lib/python3/dist-packages; do
		[ ! -d "$from" ] || (cd / && cp -a --parents "${from#/}" "$OLDPWD/root")
	done
	mknod root/null c 1 3
	mkfifo root/fifo
	cp /bin/true root/true
	ln root/true root/true.hard
	ln -s ../true root/etc/true.link
	chown 1000:1001 root/true
	setcap cap_net_raw+ep root/true 2>/dev/null || :
	getcap -n root/true >caps || :
	sync -f root
}

mkdir src m root
SIZE=400M
mount_rw log -o create=cluster_size=4k,compress src m
install_into copy copy_of_this_system

# The mirror that apt uses.
mirror() {
	echo "${DEBIAN_MIRROR:-$(sed -n 's/^deb \(\[[^]]*\] \)\?\(http[^ ]*\) .*/\2/p; s/^URIs: //p' \
		/etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -1)}"
}

[ -n "${LONG:-}" ] || { echo "# without debootstrap, which takes minutes (LONG=1)"; exit 0; }
command -v debootstrap >/dev/null || skip "debootstrap is not installed; all else is as it should be"
MIRROR=$(mirror)
curl -sfI -o /dev/null "$MIRROR/dists/stable/Release" || skip "no mirror of Debian can be reached at '$MIRROR'"
SIZE=2G
mount_rw log -o create,compress src m
install_into debian debootstrap --variant=minbase stable root "$MIRROR" >debootstrap.log 2>&1 || {
	tail debootstrap.log
	fail "debootstrap"
}
chroot_is_complete() {
	qemu-img convert -O raw src/debian.qcow2 out.raw
	attach -r out.raw
	mount -o ro "$LOOP" root
	chroot root dpkg --audit && chroot root dpkg -V
}
chroot_is_complete || fail "dpkg finds no file that differs"
umount root
detach
