/* SPDX-License-Identifier: MIT */
/*
 * compare.c - compare two disks with several threads.
 *
 * Each thread takes the next chunk that is not known to be equal, and reads it from both disks.
 * Chunks are taken in order, and none is taken behind a difference.  So when all threads have
 * ended, the lowest difference that was found is the first one of the disks.
 */
#include <errno.h>
#include <string.h>

#include "base/lock.h"
#include "copy/copy_disk.h"
#include "copy/copy_threads.h"
#include "image/image.h"

enum { COMPARE_BYTES = 1 << 20 };

struct compare_job {
	const struct qc_compare *c;
	struct qc_copy_disk a, b;
	struct qc_mutex lock; /* for all below; held across lookups of tables */
	uint64_t end, next, done;
	uint64_t different; /* the lowest offset; UINT64_MAX: none */
	qc_err error;	    /* the first one */
};

static void note_compared(struct compare_job *j, uint64_t len) NEEDS(&j->lock);
static void note_compared(struct compare_job *j, uint64_t len)
{
	j->done += len;
	if (j->c->progress && !j->c->progress(j->c->arg, j->done, j->end) && !j->error)
		j->error = -ECANCELED;
}

/* Returns the length of the next chunk that must be read; 0 at the end. */
static size_t take_compared_chunk(struct compare_job *j, uint64_t *off) NEEDS(&j->lock);
static size_t take_compared_chunk(struct compare_job *j, uint64_t *off)
{
	uint64_t len = 0;

	while (!j->error && j->next < min_u64(j->end, j->different)) {
		qc_err r = qc_copy_disk_measure_equal(&j->a, &j->b, j->next, j->end, &len);

		if (r)
			j->error = r;
		if (r || !len)
			break;
		j->next += len;
		note_compared(j, len);
	}
	if (j->error || j->next >= min_u64(j->end, j->different))
		return 0;
	*off = j->next;
	len = min_u64(COMPARE_BYTES - j->next % COMPARE_BYTES, j->end - j->next);
	j->next += len;
	return (size_t)len;
}

/* Returns the offset of the first sector that differs, or @len. */
static size_t find_difference(const uint8_t *a, const uint8_t *b, size_t len)
{
	size_t at = 0;

	if (!memcmp(a, b, len))
		return len;
	while (!memcmp(a + at, b + at, (size_t)min_u64(SECTOR, len - at)))
		at += SECTOR;
	return at;
}

static qc_err compare_chunk(struct compare_job *j, uint64_t off, size_t len, uint8_t *buf,
			    size_t *at)
{
	qc_err r = qc_copy_disk_read(&j->a, off, buf, len);

	if (!r)
		r = qc_copy_disk_read(&j->b, off, buf + COMPARE_BYTES, len);
	*at = r ? len : find_difference(buf, buf + COMPARE_BYTES, len);
	return r;
}

static void *compare_chunks(void *arg)
{
	struct compare_job *j = arg;
	AUTO_FREE uint8_t *buf = malloc(2 * COMPARE_BYTES);
	size_t len, at;
	uint64_t off;

	qc_lock(&j->lock);
	if (!buf && !j->error)
		j->error = -ENOMEM;
	while ((len = take_compared_chunk(j, &off))) {
		qc_err r;

		qc_unlock(&j->lock);
		r = compare_chunk(j, off, len, buf, &at);
		qc_lock(&j->lock);
		if (r && !j->error)
			j->error = r;
		if (at < len)
			j->different = min_u64(j->different, off + at);
		note_compared(j, len);
	}
	qc_unlock(&j->lock);
	return NULL;
}

qc_err qc_compare_disks(const struct qc_compare *c, uint64_t *at)
{
	struct compare_job j = { .c = c, .different = UINT64_MAX };
	qc_err r = qc_copy_disk_open(&c->a, QC_COPY_SOURCE, &j.a);

	if (r)
		return r;
	r = qc_copy_disk_open(&c->b, QC_COPY_SOURCE, &j.b);
	j.end = min_u64(c->end, max_u64(j.a.size, j.b.size));
	if (!r) {
		qc_mutex_init(&j.lock, QC_RANK_COPY);
		qc_copy_threads_run(COPY_THREADS_DEFAULT, compare_chunks, &j);
		qc_mutex_destroy(&j.lock);
		/* A failure behind a difference does not matter. */
		r = j.different == UINT64_MAX || j.error == -ECANCELED ? j.error : 0;
		*at = j.different;
	}
	qc_copy_disk_close(&j.a);
	qc_copy_disk_close(&j.b);
	return r;
}
