/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - the library of the fuzzers: an assertion that no build drops, numbers
 * from the input, and a file in memory.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/range.h"
#include "io/file.h"
#include "unit/random.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)                                                                       \
	do {                                                                          \
		if (!(x)) {                                                           \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #x);  \
			abort();                                                      \
		}                                                                     \
	} while (0)

/* The rest of the input. */
struct feed {
	const uint8_t *p;
	size_t n;
};

/* The next `bytes` bytes as a number; zeros behind the end. */
static inline uint64_t feed_number(struct feed *f, size_t bytes)
{
	uint64_t v = 0;

	for (; bytes; bytes--) {
		v = v << 8 | (f->n ? *f->p : 0);
		if (f->n) {
			f->p++;
			f->n--;
		}
	}
	return v;
}

/* The same numbers for the same input, for random_u64(). */
static inline uint64_t feed_seed(const uint8_t *data, size_t size)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		h = (h ^ data[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* A message for people: it ends, and cannot play tricks with a terminal. */
static inline void must_be_plain(const char *text, size_t room)
{
	MUST(memchr(text, 0, room));
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		MUST(*p >= 0x20 && *p != 0x7f);
}

/* ---- a file in memory; it may claim to be longer than its bytes ---------- */

struct memory_file {
	struct qc_file file;
	const uint8_t *data;
	size_t size;
	uint64_t claimed;
};

static inline qc_err memory_read(struct qc_file *f, uint64_t off, void *buf, size_t len,
				 size_t *got)
{
	const struct memory_file *m = (const struct memory_file *)f;
	size_t have = (size_t)range_clamp(off, len, m->size);

	*got = (size_t)range_clamp(off, len, m->claimed);
	memset(buf, 0, *got);
	if (have)
		memcpy(buf, m->data + off, have);
	return 0;
}

static inline qc_err memory_stat(struct qc_file *f, struct qc_file_stat *out)
{
	*out = (struct qc_file_stat){ .size = ((const struct memory_file *)f)->claimed };
	return 0;
}

static inline qc_err memory_extent(struct qc_file *f, uint64_t off, struct qc_extent *out)
{
	*out = (struct qc_extent){ ((const struct memory_file *)f)->claimed - off, true };
	return 0;
}

static inline struct memory_file memory_file(const uint8_t *data, size_t size,
					     uint64_t claimed)
{
	static const struct qc_file_ops ops = { .read = memory_read, .stat = memory_stat,
						.extent = memory_extent };

	return (struct memory_file){ { &ops }, data, size, max_u64(size, claimed) };
}

#endif
