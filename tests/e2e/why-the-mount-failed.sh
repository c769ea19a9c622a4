#!/bin/bash
# SPDX-License-Identifier: MIT
# If it cannot mount, one line has the reason and the remedy.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires_root
requires which fusermount3
requires as_user test -x "$TEST_TMP"
own_mounts # with a /dev and an /etc/fuse.conf of its own

says() { # says REGEX COMMAND...: status 5, and one line
	local regex=$1 status=0
	shift
	"$@" >out 2>err || status=$?
	sed 's/^/# /' err
	[ $status = 5 ] || fail "$*: status $status is 5"
	[ "$(wc -l <err)" = 1 ] || fail "$*: one line"
	grep -Eq "^qcowfs: mountpoint .*mnt: .*$regex" err || fail "$*: says $regex"
	[ ! -s out ] || fail "nothing on stdout"
}

mkdir dev home home/mnt
requires mount -t tmpfs none dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/urandom c 1 9
cp "$QCOWFS" home/qcowfs
image home/disk.qcow2 1M "write -P 1 0 1M"
chown -R 65534:65534 home
cd home
mount --move ../dev /dev
daemon=(./qcowfs -o ro disk.qcow2 mnt)

says 'there is no /dev/fuse: .*modprobe fuse' "${daemon[@]}"
says 'there is no /dev/fuse: .*--device' as_user "${daemon[@]}"

mknod -m 600 /dev/fuse c 10 229
says '/dev/fuse may not be opened: .*chmod 666' as_user "${daemon[@]}"

chmod 666 /dev/fuse
says 'Operation not permitted: .*CAP_SYS_ADMIN' \
	setpriv --bounding-set -sys_admin --inh-caps -sys_admin "${daemon[@]}"

helper=$(realpath "$(which fusermount3)")
cp "$helper" ../plain-helper
chmod 755 ../plain-helper
mount --bind ../plain-helper "$helper"
says 'not setuid root .chmod u.s' as_user "${daemon[@]}"
umount "$helper"
touch ../no-helper
mount --bind ../no-helper "$helper"
says 'no fusermount3, .*install fuse3' as_user "${daemon[@]}"
umount "$helper"

# As AppArmor refuses it on Ubuntu.
mkdir ../apparmor
touch ../apparmor/fusermount3
printf '#!/bin/sh\necho "fusermount3: mount failed: Permission denied" >&2\nexit 1\n' >../refused
chmod 4755 ../refused
mount --bind ../refused "$helper"
if [ -d /etc/apparmor.d ]; then mount --bind ../apparmor /etc/apparmor.d; fi
if [ -e /etc/apparmor.d/fusermount3 ]; then
	says "AppArmor's profile fusermount3 .*/etc/apparmor.d/local/fusermount3" as_user "${daemon[@]}"
	umount /etc/apparmor.d
fi
umount "$helper"
[ -u "$helper" ] || skip "needs a fusermount3 that is setuid root"

echo >../fuse.conf
if [ -e /etc/fuse.conf ]; then mount --bind ../fuse.conf /etc/fuse.conf; fi
says "a line 'user_allow_other'" as_user "${daemon[@]}" -o allow_other
says "a line 'user_allow_other'" as_user "${daemon[@]}" -o allow_root
chown 0 mnt
chmod 755 mnt
says 'no write access to mountpoint' as_user "${daemon[@]}"
chown 65534 mnt
as_user "${daemon[@]}" 2>err || fail "and now it mounts"
[ ! -s err ] || fail "and says nothing"
MOUNTS+=("$PWD/mnt")
cmp -n 100 mnt/disk.raw /dev/zero && fail "it can be read"
as_user fusermount3 -u mnt
