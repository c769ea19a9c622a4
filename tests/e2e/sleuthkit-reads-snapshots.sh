#!/bin/bash
# SPDX-License-Identifier: MIT
# The Sleuth Kit works on the snapshots of a disk: a file that was deleted between two of them is
# found in the first, and is listed as deleted in the second.
# shellcheck source=writing.sh
. "${TEST_LIB:-$(dirname "$0")}/writing.sh"
requires which mmls
requires which debugfs
requires which mkfs.ext4

mkdir src mnt
image src/disk.qcow2 20M
noise secret 300000
noise other 100000

# One partition, from sector 2048 on.
python3 - <<'END' >mbr
import struct, sys
part = struct.pack('<B3sB3sII', 0, b'\x20\x21\0', 0x83, b'\xff\xff\xff', 2048, 36864)
sys.stdout.buffer.write(bytes(446) + part + bytes(48) + b'\x55\xaa')
END

mount_rw log -o snapshots src mnt
dd if=mbr of=mnt/disk.raw conv=notrunc status=none
fs() { # fs COMMAND: one of debugfs
	debugfs -w -R "$1" "mnt/disk.raw?offset=1048576" >debugfs.out 2>&1 || { cat debugfs.out; fail "$1"; }
}
mkfs.ext4 -q -F -b 1024 -E offset=1048576 mnt/disk.raw 18M
fs "write secret secret.bin"
mkdir mnt/disk.snapshots/monday
fs "rm secret.bin"
mkdir mnt/disk.snapshots/tuesday
fs "write other other.bin" # in its place
mkdir mnt/disk.snapshots/wednesday
fs "rm other.bin"
unmount_rw mnt
sound src/disk.qcow2
sum=$(sha256sum src/disk.qcow2)

mount_fg log -o forensic src mnt
inode() { # inode SNAPSHOT FILE [OPTION]: its number
	fls -o 2048 ${3:+"$3"} "mnt/disk.snapshots/$1/disk.raw" | sed -n "s/^r[^ ]* \(\* \)\?\([0-9]*\)[^:]*:\t$2\$/\2/p"
}
for s in monday tuesday wednesday; do
	mmls "mnt/disk.snapshots/$s/disk.raw" >mmls.out
	grep -Eq '0000002048 .*Linux' mmls.out || { cat mmls.out; fail "$s: the partition"; }
	fls -o 2048 "mnt/disk.snapshots/$s/disk.raw" | sed "s/^/# $s: /"
done
i=$(inode monday secret.bin -u)
[ -n "$i" ] || fail "it is there on monday"
icat -o 2048 mnt/disk.snapshots/monday/disk.raw "$i" | cmp - secret || fail "with its bytes"
fls -o 2048 -d mnt/disk.snapshots/tuesday/disk.raw >deleted
grep -q secret.bin deleted || fail "on tuesday it is deleted"
j=$(inode wednesday other.bin -u)
icat -o 2048 mnt/disk.snapshots/wednesday/disk.raw "$j" | cmp - other || fail "the other has its bytes"
fls -o 2048 -d mnt/disk.snapshots/wednesday/disk.raw >deleted
if grep -q secret.bin deleted; then fail "on wednesday nothing is left of the first"; fi
fls -o 2048 -d mnt/disk.raw >deleted
grep -q other.bin deleted || fail "now that is deleted, too"
unmount mnt
[ "$(sha256sum src/disk.qcow2)" = "$sum" ] || fail "no byte is another"
[ ! -s log ] || { cat log; fail "there is nothing to say"; }
