#!/bin/bash
# SPDX-License-Identifier: MIT
# Images are known by their content; the ending of their names gives way to .raw, and where
# two would get one name the later keeps its whole name.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

mkdir -p src/lab/deep src/empty
image seed 64k
put() { for name; do cp seed "src/$name"; done; }
put a.qcow b.QCOW2 c.qcow3 d.Qc2 e.cow f.IMG plain no.ending g.raw h.qcow2.bak .qcow2 .hidden.qcow2 \
	same.img same.qcow2 same.cow "with space.qcow2" $'line\nbreak.qcow2' ünï.qcow2 -dash.img \
	lab/db.qcow2 lab/deep/x.img r.qcow2 r.raw.qcow2 double.img.qcow2
noise src/not-an-image.qcow2 5000
: >src/empty.qcow2
mkfifo src/fifo.qcow2
printf 'QFI' >src/short.qcow2
want=(a.raw b.raw c.raw d.raw e.raw f.raw plain.raw no.ending.raw g.raw.raw h.qcow2.bak.raw
	.qcow2.raw .hidden.raw same.raw same.img.raw same.qcow2.raw 'with space.raw'
	$'line\nbreak.raw' ünï.raw -dash.raw lab lab/db.raw lab/deep lab/deep/x.raw empty
	r.raw r.raw.raw double.img.raw)
mount_fs src mnt
(cd mnt && find . -mindepth 1 -printf '%P\0') | LC_ALL=C sort -z | tr '\0\n' '\n?' >shown
printf '%s\0' "${want[@]}" | LC_ALL=C sort -z | tr '\0\n' '\n?' >wanted
diff wanted shown || fail "these are the names"
cmp -s mnt/a.raw mnt/lab/deep/x.raw || fail "they are the same"
unmount mnt

# One image in a folder: just this.
mount_fs src/b.QCOW2 mnt
[ "$(ls -A mnt)" = b.raw ] || fail "one image, one file"
unmount mnt
