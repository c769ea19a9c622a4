/* SPDX-License-Identifier: MIT */
#include "image/flusher.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "image/layer_table.h"
#include "update/checkpoint.h"

enum { SECONDS = 3 };

struct qc_flusher {
	struct qc_context *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop, wake; /* lock */
};

/* Runs a checkpoint of each dirty layer, of each layer once. */
static void flush_dirty_layers(struct qc_context *ctx, unsigned int round)
{
	for (size_t b = 0; b < LAYER_TABLE_BUCKETS; b++) {
		struct qc_layer *l;

		while ((l = qc_layer_next_dirty(ctx, b, round))) {
			qc_checkpoint(l->writer, true); /* which logs its failure */
			qc_layer_flush_done(l);
		}
	}
}

static void *run_flusher(void *arg)
{
	struct qc_flusher *f = arg;
	unsigned int round = 0;
	struct timespec until;

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += SECONDS;
		while (!f->stop && !f->wake &&
		       pthread_cond_timedwait(&f->changed, &f->lock, &until) != ETIMEDOUT)
			;
		if (f->stop)
			break;
		f->wake = false;
		pthread_mutex_unlock(&f->lock);
		flush_dirty_layers(f->ctx, ++round);
		pthread_mutex_lock(&f->lock);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* The clock of the wait must not be one that the administrator can set. */
static void init_monotonic(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

qc_err qc_flusher_start(struct qc_context *ctx, struct qc_flusher **out)
{
	struct qc_flusher *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->ctx = ctx;
	pthread_mutex_init(&f->lock, NULL);
	init_monotonic(&f->changed);
	if (pthread_create(&f->thread, NULL, run_flusher, f)) {
		free(f);
		return -EAGAIN;
	}
	*out = f;
	return 0;
}

void qc_flusher_wake(struct qc_flusher *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->wake = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

void qc_flusher_stop(struct qc_flusher *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
