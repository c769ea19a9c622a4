#!/bin/bash
# SPDX-License-Identifier: MIT
# Bytes of an image file that the system cannot read give EIO, there and nowhere else; so do bytes
# that were cut off or overwritten while mounted; other images are not affected.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"
requires cc --version
[ "${TEST_SANITIZER:-}" = '' ] || skip "a library that is loaded first does not go with a sanitizer"

# A medium with bad sectors: reading a file that begins with "QFI" and lies in bad/ fails
# between $BAD_FROM and $BAD_TO.
cat >bad.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t pread64(int fd, void *buf, size_t n, off_t off)
{
	static ssize_t (*real)(int, void *, size_t, off_t);
	char self[64], path[4096];
	ssize_t len;

	if (!real)
		real = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	len = readlink(self, path, sizeof(path) - 1);
	path[len < 0 ? 0 : len] = 0;
	if (strstr(path, "/bad.qcow2") && off < atoll(getenv("BAD_TO")) &&
	    off + (off_t)n > atoll(getenv("BAD_FROM"))) {
		errno = EIO;
		return -1;
	}
	return real(fd, buf, n, off);
}
END
cc -shared -fPIC -D_FILE_OFFSET_BITS=64 -o bad.so bad.c -ldl || skip "needs a C compiler"

mkdir src mnt
image src/good.qcow2 4M "write -P 1 0 4M"
image src/bad.qcow2 4M "write -P 1 0 4M"
(cd src && overlay over.qcow2 bad.qcow2 qcow2 "write -P 2 0 1M")
part() { dd if="mnt/$1.raw" of=/dev/null bs=64k skip="$2" count=1 iflag=direct status=none; }
is() { # is IMAGE PART VALUE
	dd if="mnt/$1.raw" bs=64k skip="$2" count=1 iflag=direct status=none |
		cmp - <(head -c 65536 /dev/zero | tr '\0' "$3") || fail "$1: part $2 is $3"
}
with_bad() { # with_bad FROM TO: mounted, with these bytes bad
	BAD_FROM=$1 BAD_TO=$2 LD_PRELOAD=$PWD/bad.so "$QCOWFS" -f -o direct_io src mnt 2>log &
	DAEMON=$!
	PROCESSES+=("$DAEMON")
	until_true 20 is_mounted mnt
	MOUNTS+=("$PWD/mnt")
}
at() { # at IMAGE OFFSET: where that is in the file
	qemu-img map --output=json "$1" |
		python3 -c 'import json, sys
for e in json.load(sys.stdin):
    if e["start"] <= int(sys.argv[1]) < e["start"] + e["length"] and "offset" in e:
        print(e["offset"] + int(sys.argv[1]) - e["start"])' "$2"
}

# Data.
place=$(at src/bad.qcow2 2097152)
with_bad "$place" $((place + 512))
for i in bad over; do
	fails_with 'Input/output error' part $i 32
	is $i 31 '\1'
	is $i 33 '\1'
done
is over 0 '\2'
is good 32 '\1'
fails_with 'Input/output error' dd if=/dev/zero of=mnt/over.raw bs=512 seek=4097 count=1 conv=notrunc status=none
unmount mnt
qemu-img check -q src/over.qcow2 || fail "the overlay is sound"

# Tables: nothing of the image can be read, until they can be.
with_bad 65536 262144
for i in bad over; do fails_with 'Input/output error' part $i 32; done
is good 32 '\1'
unmount mnt

# Cut off, and overwritten with something else, while it is open.
mount_fg log -o direct_io src mnt
exec 5<mnt/bad.raw 6<mnt/good.raw
part bad 0
truncate -s 1M src/bad.qcow2
for i in 32 63; do fails_with 'Input/output error|Stale' part bad $i; done
if dd if=/dev/fd/5 of=/dev/null bs=64k status=none 2>err; then fail "that was not all there"; fi
head -c 1M /dev/urandom | dd of=src/bad.qcow2 conv=notrunc status=none
fails_with 'Input/output error|Stale|No such file' part bad 40 # it is no image any more
: >src/bad.qcow2
fails_with 'Input/output error|Stale|No such file' part bad 40 # it is no image any more
for ((i = 0; i < 64; i += 9)); do is good $i '\1'; done
exec 5<&- 6<&-
kill -0 "$DAEMON" || fail "it is alive"

# Replaced: noticed by the next open.
image new.qcow2 4M "write -P 7 0 4M"
mv new.qcow2 src/bad.qcow2
sleep 1.1 # names are kept for a second
is bad 40 '\7'
unmount mnt
