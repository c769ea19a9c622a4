/* SPDX-License-Identifier: MIT */
/* rebase.h - rebases as requests of crash.h: they change no byte of the disk. */
#ifndef REBASE_H
#define REBASE_H

#include "crash.h"

/* A name that does not fit beside all extensions in the first sector. */
#define LONG_BASE "base-with-a-name-that-is-so-long-that-it-does-not-fit-in-the-first-sector-" \
		  "of-the-header-beside-the-table-of-feature-names-and-the-other-extensions"

/* An image over base.raw, and two other bases: with other bytes here and there, and shorter. */
static inline void make_two_bases(const struct scenario *s)
{
	make_backed(s);
	sh("cd w && cp base.raw base2.raw && truncate -s %" PRIu64 " base2.raw && "
	   "dd if=/dev/urandom of=base2.raw bs=1k seek=70 count=90 conv=notrunc status=none && "
	   "dd if=/dev/zero of=base2.raw bs=1k seek=300 count=40 conv=notrunc status=none && "
	   "ln base2.raw " LONG_BASE, s->bytes - 200 * K);
	sh("cd w && qemu-io -c 'write -P 3 100k 20k' -c 'write -P 4 500k 9k' %s >/dev/null",
	   rig_image(s));
}

/* @name: of a raw file in the folder of the image; "": none. */
static inline qc_err g_rebase(const char *name)
{
	struct qc_backing_name to = { name, *name ? "raw" : "" };
	struct qc_disk disk = { .fd = -1 };
	struct qc_reason why;
	char path[300];
	struct stat st;
	qc_err r;

	snprintf(path, sizeof(path), "w/%s", name);
	if (*name && ((disk.fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(disk.fd, &st)))
		fatal(path);
	disk.size = *name ? ((uint64_t)st.st_size + 511) / 512 * 512 : 0;
	r = g_noted(qc_rebase(rig.img, *name ? &disk : NULL, &to, NULL, NULL, &why));
	if (disk.fd >= 0)
		close(disk.fd);
	return r;
}

#endif
