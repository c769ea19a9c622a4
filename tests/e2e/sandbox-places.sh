#!/bin/bash
# SPDX-License-Identifier: MIT
# The kernel lets the daemon open the files that its options allow, and no others: a link that is
# changed to another folder while it is mounted cannot be followed.
# sanitize: none
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
mount_fg log -v . probe
until_true 10 grep -q 'sandbox: no new' log
unmount probe
grep -q Landlock log || skip "needs a kernel with Landlock"

mkdir -p src far/away third maps mnt
image src/base.qcow2 1M "write -P 1 0 1M"
image far/away/real.qcow2 1M "write -P 2 0 1M"
image third/secret.qcow2 1M "write -P 3 0 1M"
image maps/moved.qcow2 1M "write -P 4 0 1M"
ln -s ../far/away/real.qcow2 src/link.qcow2
first() { head -c 1 "$1" | xxd -p; }

# The folder of the link, and where it leads: also what is there in its place later.
for off in '' off; do
	ln -sfn ../far/away/real.qcow2 src/link.qcow2
	mount_fg log ${off:+-o sandbox=$off} src/link.qcow2 mnt
	[ "$(first mnt/link.raw)" = 02 ] || fail "through the link"
	cp far/away/real.qcow2 far/away/new.qcow2
	qio far/away/new.qcow2 "write -P 5 0 1M"
	mv far/away/real.qcow2 far/away/old.qcow2
	mv far/away/new.qcow2 far/away/real.qcow2
	[ "$(first mnt/link.raw)" = 05 ] || fail "what replaced it"
	mv far/away/old.qcow2 far/away/real.qcow2
	ln -sfn base.qcow2 src/link.qcow2
	[ "$(first mnt/link.raw)" = 01 ] || fail "its own folder"
	ln -sfn ../third/secret.qcow2 src/link.qcow2
	if [ "$off" ]; then
		[ "$(first mnt/link.raw)" = 03 ] || fail "without the sandbox"
	else
		sleep 1.1 # names are kept for a second
		fails_with 'Permission denied|Input/output' head -c 1 mnt/link.raw
		grep -q 'link.qcow2: .*Permission denied' log || { cat log; fail "the log says why"; }
	fi
	unmount mnt
done

# backing-map, by folder and by file.
qemu-img create -q -u -f qcow2 -b /gone/moved.qcow2 -F qcow2 src/over.qcow2 1M
for map in /gone:maps /gone/moved.qcow2:maps/moved.qcow2; do
	mount_fs -o backing-map=$map src mnt
	[ "$(first mnt/over.raw)" = 04 ] || fail "backing-map=$map"
	cp maps/moved.qcow2 maps/new.qcow2
	mv maps/new.qcow2 maps/moved.qcow2
	[ "$(first mnt/over.raw)" = 04 ] || fail "replaced"
	unmount mnt
done
mount_fg log -o backing-map=/gone:nowhere src mnt
[ "$(first mnt/base.raw)" = 01 ] || fail "others are read"
grep -q 'nowhere: No such file' log || { cat log; fail "it says what is not there"; }
fails_with 'Input/output' head -c 1 mnt/over.raw
unmount mnt

# A writable data file is in the folder, or where a map says.
(cd src && qemu-img create -q -f qcow2 -o data_file=d.bin d.qcow2 1M && qio d.qcow2 "write -P 6 0 1M")
mv src/d.bin maps/d.bin
write_one() { printf x | dd of=mnt/d.raw conv=notrunc status=none; }
"$QCOWFS" -o "data-file=d.bin,backing-map=d.bin:maps/d.bin" src mnt
MOUNTS+=("$PWD/mnt")
write_one
unmount mnt
until_true 10 test "$(head -c 1 maps/d.bin)" = x
