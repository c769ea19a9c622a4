#!/bin/bash
# SPDX-License-Identifier: MIT
# A link to an image inside of the folder is shown, one that leads out is not, unless
# backing=any, with which links to folders are followed, too.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/lab outside
image outside/secret.qcow2 1M "write -P 1 0 1M"
image src/real.qcow2 1M "write -P 2 0 1M"
ln -s real.qcow2 src/inside.qcow2
ln -s ../real.qcow2 src/lab/up.qcow2
ln -s ../outside/secret.qcow2 src/out.qcow2
ln -s "$PWD/outside/secret.qcow2" src/absolute.qcow2
ln -s gone.qcow2 src/dangling.qcow2
ln -s ../outside src/outdir
ln -s . src/circle
ln -s self.qcow2 src/self.qcow2
ln src/real.qcow2 src/hard.qcow2
mount_fs src mnt
names=$(cd mnt && find . -mindepth 1 -printf '%P\n' | sort | xargs)
[ "$names" = "hard.raw inside.raw lab lab/up.raw real.raw" ] || fail "shown are: $names"
for name in inside lab/up hard; do shows_as mnt/$name.raw src/real.qcow2; done
[ ! -e mnt/out.raw ] || fail "not by name, either"
unmount mnt
mount_fs -o backing=any src mnt
for name in out absolute outdir/secret; do shows_as mnt/$name.raw outside/secret.qcow2; done
[ ! -e mnt/circle ] || fail "a circle is not followed"
ln -s ../src/lab outside/back
ln -s .. src/lab/above
ln -s ../../outside src/lab/side
names=$(cd mnt && find lab outdir -printf '%p\n' | sort | xargs)
[ "$names" = "lab lab/side lab/side/secret.raw lab/up.raw outdir outdir/back outdir/back/up.raw outdir/secret.raw" ] ||
	fail "links to folders are followed, but never upwards: $names"
rm src/outdir
until_true 5 test ! -e mnt/outdir
ln -s ../outside src/outdir
until_true 5 test -e mnt/outdir/secret.raw
unmount mnt

# The one SOURCE may be a link; its target has its own neighbours.
mount_fs src/out.qcow2 mnt
shows_as mnt/out.raw outside/secret.qcow2
unmount mnt
