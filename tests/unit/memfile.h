/* SPDX-License-Identifier: MIT */
/*
 * memfile.h - a file that is memory, and that fails when told to.
 *
 * It may be longer than its bytes: the rest reads as zeros.
 */
#ifndef MEMFILE_H
#define MEMFILE_H

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "io/file.h"
#include "base/range.h"

struct memfile {
	struct qc_file file;
	const uint8_t *bytes;
	uint64_t nbytes;
	uint64_t size;
	atomic_uint reads;
	atomic_int fail; /* so many reads fail from now on; -1: all */
};

static inline struct memfile *memfile_of(struct qc_file *f)
{
	return (struct memfile *)f;
}

static inline qc_err memfile_read(struct qc_file *f, uint64_t off, void *buf, size_t len,
				  size_t *got)
{
	struct memfile *m = memfile_of(f);
	uint64_t n = range_clamp(off, len, m->size);
	uint64_t have = range_clamp(off, n, m->nbytes);

	atomic_fetch_add(&m->reads, 1);
	if (m->fail && (m->fail < 0 || atomic_fetch_sub(&m->fail, 1) > 0))
		return -EIO;
	if (have)
		memcpy(buf, m->bytes + off, have);
	memset((uint8_t *)buf + have, 0, n - have);
	*got = n;
	return 0;
}

static inline qc_err memfile_stat(struct qc_file *f, struct qc_file_stat *out)
{
	*out = (struct qc_file_stat){ .size = memfile_of(f)->size };
	return 0;
}

static inline qc_err memfile_extent(struct qc_file *f, uint64_t off, struct qc_extent *out)
{
	*out = (struct qc_extent){ memfile_of(f)->size - off, true };
	return 0;
}

static inline void memfile_close(struct qc_file *f)
{
	(void)f;
}

static inline void memfile_init(struct memfile *m, const void *bytes, uint64_t n)
{
	static const struct qc_file_ops ops = {
		.read = memfile_read,
		.stat = memfile_stat,
		.extent = memfile_extent,
		.close = memfile_close,
	};

	*m = (struct memfile){ .file = { &ops }, .bytes = bytes, .nbytes = n, .size = n };
}

#endif
