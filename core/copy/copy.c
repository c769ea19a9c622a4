/* SPDX-License-Identifier: MIT */
/*
 * copy.c - copy a disk with several threads.
 *
 * Called by programs that convert images.  Each thread takes the next chunk of the source, reads
 * it, detects zeros and compresses, and then stores it.  All of that but the store runs in
 * parallel.  Stores go in the order of the disk, unless the caller does not mind, so that
 * the clusters of a new image are in order, too.
 *
 * Memory is one chunk for each thread, or two and an encoder where it compresses.  A failure, or
 * the caller's wish, stops all threads before their next chunk.
 */
#include <errno.h>

#include "base/lock.h"
#include "base/range.h"
#include "copy/copy_chunk.h"
#include "copy/copy_threads.h"
#include "image/image.h"

enum {
	CHUNK_BYTES = 2 << 20,
	HOLE_BYTES = 1 << 30, /* of a chunk that is a hole */
	RAW_UNIT = 4096,      /* QEMU's: the least zeros that make a hole in a raw file */
};

struct copy_job {
	struct qc_copy_plan plan;
	const struct qc_copy *c;
	struct qc_mutex lock; /* for all below; held across lookups of tables */
	pthread_cond_t may_store[COPY_THREADS_MAX]; /* of chunk n: n % COPY_THREADS_MAX */
	uint64_t end, next;   /* guest offsets: of the copy, of the next chunk */
	uint64_t taken, stored_chunks; /* chunks that threads took; that are stored */
	uint64_t done;	      /* bytes that are copied, or need not be */
	qc_err error;	      /* the first one */
};

/* ---- the next chunk --------------------------------------------------------- */

static bool is_ordered(const struct copy_job *j)
{
	return j->plan.flags & QC_COPY_STREAM ||
	       !(j->plan.flags & QC_COPY_ANY_ORDER);
}

/* Counts bytes as done, and asks the caller whether to go on. */
static void note_done(struct copy_job *j, uint64_t len) NEEDS(&j->lock);
static void note_done(struct copy_job *j, uint64_t len)
{
	j->done += len;
	if (j->c->progress && !j->c->progress(j->c->arg, j->done, j->end) && !j->error)
		j->error = -ECANCELED;
}

/* Finds out if the bytes at `next` are to be copied.  Areas behind the end of a shorter disk are. */
static qc_err find_area(struct copy_job *j, struct qc_extent *e)
{
	uint64_t size = qc_size(j->plan.areas);

	*e = (struct qc_extent){ j->end - j->next, true };
	if (j->next >= size)
		return 0;
	return qc_block_status(j->plan.areas, j->next, e);
}

/* Finds the bytes at `next` that need not be copied, or that are a hole.  *len: in whole units,
 * or up to the end; 0: the chunk there must be read. */
static qc_err measure_hole(struct copy_job *j, uint64_t *len) NEEDS(&j->lock);
static qc_err measure_hole(struct copy_job *j, uint64_t *len)
{
	struct qc_extent e = { 0 };
	uint64_t left = j->end - j->next;
	qc_err r = 0;

	if (j->plan.areas)
		r = find_area(j, &e);
	else if (j->plan.flags & QC_COPY_FULL)
		e.data = true;
	else if (!(j->plan.flags & QC_COPY_DIFFERENCES))
		r = qc_copy_disk_extent(&j->plan.from, j->next, &e);
	else
		r = qc_copy_disk_measure_equal(&j->plan.from, &j->plan.to, j->next, j->end, &e.len);
	*len = e.data ? 0 : min_u64(e.len, left);
	if (*len < left)
		*len -= *len % j->plan.unit;
	return r;
}

/* Returns the length of the chunk of data at `next`: it ends where a hole begins. */
static uint64_t measure_data(struct copy_job *j) NEEDS(&j->lock);
static uint64_t measure_data(struct copy_job *j)
{
	uint64_t most = min_u64(j->plan.chunk, j->end - j->next);
	struct qc_extent e;

	if (j->plan.areas)
		return min_u64(most, find_area(j, &e) || !e.data ? j->plan.unit :
							round_up(e.len, j->plan.unit));
	if (j->plan.flags & (QC_COPY_FULL | QC_COPY_DIFFERENCES) ||
	    qc_copy_disk_extent(&j->plan.from, j->next, &e) || !e.data)
		return most;
	return min_u64(most, round_up(e.len, j->plan.unit));
}

/* Finds the next chunk.  Returns false at the end, or after a failure. */
static bool take_chunk(struct copy_job *j, struct qc_copy_chunk *c) NEEDS(&j->lock);
static bool take_chunk(struct copy_job *j, struct qc_copy_chunk *c)
{
	bool skip = j->plan.areas || j->plan.flags & (QC_COPY_TO_ZEROS | QC_COPY_DIFFERENCES);
	uint64_t len = 0;

	while (!j->error && j->next < j->end) {
		qc_err r = measure_hole(j, &len);

		if (r)
			j->error = r;
		if (r || !len || !skip)
			break;
		j->next += len;
		note_done(j, len);
	}
	if (j->error || j->next >= j->end)
		return false;
	c->off = j->next;
	c->hole = len;
	c->len = len ? min_u64(len, HOLE_BYTES) : measure_data(j);
	j->next += c->len;
	return true;
}

/* ---- threads ------------------------------------------------------------------ */

/* Waits until all chunks before number @n are stored.  Returns false after a failure.  Each thread
 * waits for another condition: only one of these threads can go on. */
static bool wait_to_store(struct copy_job *j, uint64_t n) NEEDS(&j->lock);
static bool wait_to_store(struct copy_job *j, uint64_t n)
{
	while (is_ordered(j) && !j->error && j->stored_chunks != n)
		qc_wait(&j->may_store[n % COPY_THREADS_MAX], &j->lock);
	return !j->error;
}

static void wake_after_failure(struct copy_job *j) NEEDS(&j->lock);
static void wake_after_failure(struct copy_job *j)
{
	for (unsigned int i = 0; j->error && i < COPY_THREADS_MAX; i++)
		pthread_cond_broadcast(&j->may_store[i]);
}

static qc_err copy_chunk(struct copy_job *j, struct qc_copy_chunk *c, uint64_t n)
{
	qc_err r = qc_copy_chunk_load(&j->plan, c);
	bool go = false;

	qc_lock(&j->lock);
	if (!r)
		go = wait_to_store(j, n);
	qc_unlock(&j->lock);
	return r || !go ? r : qc_copy_chunk_store(&j->plan, c);
}

static void *copy_chunks(void *arg)
{
	struct copy_job *j = arg;
	struct qc_copy_chunk c = { 0 };
	qc_err r = qc_copy_chunk_new(&j->plan, &c);

	qc_lock(&j->lock);
	while (!r && take_chunk(j, &c)) {
		uint64_t n = j->taken++;

		qc_unlock(&j->lock);
		r = copy_chunk(j, &c, n);
		qc_lock(&j->lock);
		if (r)
			break;
		j->stored_chunks++;
		note_done(j, c.len);
		pthread_cond_signal(&j->may_store[j->stored_chunks % COPY_THREADS_MAX]);
	}
	if (r && !j->error)
		j->error = r;
	wake_after_failure(j);
	qc_unlock(&j->lock);
	qc_copy_chunk_free(&c);
	return NULL;
}

/* ---- public ---------------------------------------------------------------------- */

static uint64_t choose_unit(const struct qc_copy *c)
{
	if (c->to.img)
		return qc_cluster_size(c->to.img);
	return c->zero_bytes ? round_up(c->zero_bytes, SECTOR) : RAW_UNIT;
}

static unsigned int choose_threads_for(const struct qc_copy *c)
{
	if (c->requests)
		return c->requests;
	return c->flags & QC_COPY_COMPRESS ? qc_copy_threads_for_processors() : COPY_THREADS_DEFAULT;
}

static qc_err check_copy(const struct qc_copy *c, const struct copy_job *j)
{
	if (c->flags & QC_COPY_COMPRESS && !(c->to.img && qc_image_can_compress(c->to.img)))
		return -EOPNOTSUPP;
	if (c->flags & QC_COPY_DIFFERENCES && !c->to.img)
		return -EINVAL;
	return j->plan.to.size < j->end && !(c->flags & QC_COPY_STREAM) ? -ENOSPC : 0;
}

qc_err qc_copy(const struct qc_copy *c)
{
	struct copy_job j = { .c = c, .plan = { .flags = c->flags, .areas = c->areas } };
	qc_err r = qc_copy_disk_open(&c->from, QC_COPY_SOURCE, &j.plan.from);

	if (r)
		return r;
	r = qc_copy_disk_open(&c->to, c->flags & QC_COPY_STREAM ? QC_COPY_PIPE : QC_COPY_TARGET,
			      &j.plan.to);
	j.end = j.plan.from.size;
	j.plan.unit = choose_unit(c);
	j.plan.chunk = round_up(CHUNK_BYTES, j.plan.unit);
	if (!r)
		r = check_copy(c, &j);
	if (!r) {
		qc_mutex_init(&j.lock, QC_RANK_COPY);
		for (unsigned int i = 0; i < COPY_THREADS_MAX; i++)
			pthread_cond_init(&j.may_store[i], NULL);
		qc_copy_threads_run(choose_threads_for(c), copy_chunks, &j);
		r = j.error;
		for (unsigned int i = 0; i < COPY_THREADS_MAX; i++)
			pthread_cond_destroy(&j.may_store[i]);
		qc_mutex_destroy(&j.lock);
	}
	qc_copy_disk_close(&j.plan.from);
	qc_copy_disk_close(&j.plan.to);
	return r;
}
