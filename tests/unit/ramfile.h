/* SPDX-License-Identifier: MIT */
/*
 * ramfile.h - a writable file in memory, which records its operations, and fails on
 * demand.
 */
#ifndef RAMFILE_H
#define RAMFILE_H

#include <errno.h>
#include <string.h>

#include "io/file.h"
#include "base/range.h"
#include "tap.h"

enum ram_call { RAM_READ, RAM_WRITE, RAM_SYNC, RAM_CALLS };

struct ramfile {
	struct qc_file file;
	uint8_t *bytes; /* zeros behind the end */
	uint64_t size, room;
	int fail[RAM_CALLS]; /* the call number so and so from now on fails; 0: none */
	struct {
		enum ram_call call;
		uint64_t off, len;
	} done[64]; /* the last of them, without reads */
	uint64_t n;
};

static inline bool ram_fails(struct ramfile *m, enum ram_call call)
{
	return m->fail[call] && !--m->fail[call];
}

static inline void ram_note(struct ramfile *m, enum ram_call call, uint64_t off, uint64_t len)
{
	m->done[m->n % 64].call = call;
	m->done[m->n % 64].off = off;
	m->done[m->n++ % 64].len = len;
}

/* Returns true if the i-th last operation is that one. */
static inline bool ram_last(const struct ramfile *m, uint64_t i, enum ram_call call,
			    uint64_t off, uint64_t len)
{
	uint64_t k = (m->n - i) % 64;

	return m->done[k].call == call && m->done[k].off == off && m->done[k].len == len;
}

static inline qc_err ram_read(struct qc_file *f, uint64_t off, void *buf, size_t len, size_t *got)
{
	struct ramfile *m = (struct ramfile *)f;

	if (ram_fails(m, RAM_READ))
		return -EIO;
	*got = range_clamp(off, len, m->size);
	if (*got)
		memcpy(buf, m->bytes + off, *got);
	return 0;
}

static inline qc_err ram_write(struct qc_file *f, uint64_t off, const void *buf, size_t len)
{
	struct ramfile *m = (struct ramfile *)f;

	if (ram_fails(m, RAM_WRITE) || !range_inside(off, len, m->room))
		return -ENOSPC;
	memcpy(m->bytes + off, buf, len);
	m->size = max_u64(m->size, off + len);
	ram_note(m, RAM_WRITE, off, len);
	return 0;
}

static inline qc_err ram_sync(struct qc_file *f)
{
	struct ramfile *m = (struct ramfile *)f;

	if (ram_fails(m, RAM_SYNC))
		return -EIO;
	ram_note(m, RAM_SYNC, 0, 0);
	return 0;
}

static inline qc_err ram_resize(struct qc_file *f, uint64_t size)
{
	struct ramfile *m = (struct ramfile *)f;

	if (size > m->room)
		return -ENOSPC;
	if (size < m->size)
		memset(m->bytes + size, 0, m->size - size);
	m->size = size;
	return 0;
}

static inline qc_err ram_stat(struct qc_file *f, struct qc_file_stat *out)
{
	*out = (struct qc_file_stat){ .size = ((struct ramfile *)f)->size };
	return 0;
}

static inline void ram_close(struct qc_file *f)
{
	(void)f;
}

static inline void ram_init(struct ramfile *m, uint64_t room)
{
	static const struct qc_file_ops ops = {
		.read = ram_read,
		.stat = ram_stat,
		.write = ram_write,
		.sync = ram_sync,
		.resize = ram_resize,
		.close = ram_close,
	};

	/* Untouched pages take no memory. */
	*m = (struct ramfile){ .file = { &ops }, .bytes = calloc(1, room), .room = room };
	if (!m->bytes)
		exit(1);
}

#endif
