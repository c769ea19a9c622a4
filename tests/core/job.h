/* SPDX-License-Identifier: MIT */
/* job.h - one request in a thread of its own, which is stopped where it matters. */
#ifndef JOB_H
#define JOB_H

#include <stdatomic.h>

#include "write.h"

#ifdef QC_FAILPOINTS

enum what { READ, WRITE, DISCARD, ALLOCATE, FLUSH, SETTLE, RESIZE, CLOSE, OPEN };

struct job {
	enum what what;
	struct qc_image *img;
	uint64_t off;
	size_t len;
	uint8_t byte; /* to write; or read first */
	struct qc_context *ctx; /* to open in, and what, and how */
	const char *path;
	unsigned int flags;
	qc_err r;
	bool uniform; /* all bytes that were read were one */
	atomic_bool done;
};

static inline void read_job(struct job *j)
{
	uint8_t *buf = malloc(j->len);

	j->r = qc_read(j->img, j->off, buf, j->len);
	j->byte = buf[0];
	j->uniform = true;
	for (size_t i = 0; i < j->len; i++)
		j->uniform = j->uniform && buf[i] == buf[0];
	free(buf);
}

static inline void open_job(struct job *j)
{
	struct qc_reason why;

	j->r = image_try(j->ctx, j->path, j->flags, &j->img, &why);
	if (j->r)
		printf("# %s: %s\n", j->path, why.text);
}

static inline void *run(void *arg)
{
	struct job *j = arg;

	switch (j->what) {
	case READ: read_job(j); break;
	case WRITE: j->r = fill(j->img, j->off, j->len, j->byte); break;
	case DISCARD: j->r = qc_discard(j->img, j->off, j->len); break;
	case ALLOCATE: j->r = qc_allocate(j->img, j->off, j->len); break;
	case FLUSH: j->r = qc_flush(j->img); break;
	case SETTLE: j->r = qc_writeback(j->img); break;
	case RESIZE: j->r = qc_resize(j->img, j->off); break;
	case CLOSE: qc_close(j->img); break;
	case OPEN: open_job(j); break;
	}
	atomic_store(&j->done, true);
	return NULL;
}

/* Starts it, and returns when it waits at the place. */
static inline pthread_t park(struct job *j, const char *place)
{
	pthread_t t;

	qc_failpoint_park(place);
	t = start(run, j);
	qc_failpoint_await(place);
	return t;
}

/* Time enough for a job to end too soon; if it was not, nothing is lost. */
static inline void linger(struct job *j)
{
	for (int i = 0; i < 2000 && !atomic_load(&j->done); i++)
		sched_yield();
}

/* Runs both, a as far as the place before b begins.  Whether b did not end before a went on. */
static inline bool has_to_wait(struct job *b, struct job *a, const char *place)
{
	pthread_t t[2] = { park(a, place) };
	bool waited;

	t[1] = start(run, b);
	linger(b);
	waited = !atomic_load(&b->done);
	qc_failpoint_resume(place);
	end(t[0]);
	end(t[1]);
	return waited;
}

#endif
#endif
