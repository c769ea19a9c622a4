/* SPDX-License-Identifier: MIT */
#include "ops/cluster_writer.h"

#include <unistd.h>

#include "qcow.h"

/* The clusters of one write.  All fields but the first four are under the lock. */
struct cluster_batch {
	struct qc_image *img;
	uint64_t off;
	const char *buf;
	size_t len, cluster;
	size_t taken;	      /* bytes that threads have taken */
	unsigned int threads; /* that work on it */
	int error;
	struct cluster_batch *next;
};

static void remove_batch(struct cluster_writer *w, const struct cluster_batch *b)
{
	struct cluster_batch **p = &w->batch;

	while (*p && *p != b)
		p = &(*p)->next;
	if (*p)
		*p = b->next;
}

/* Writes clusters of a batch until all are taken.  The lock is held, but not while it writes. */
static void work_on_batch(struct cluster_writer *w, struct cluster_batch *b)
{
	b->threads++;
	while (b->taken < b->len && !b->error) {
		size_t at = b->taken;
		int r;

		b->taken += b->cluster;
		pthread_mutex_unlock(&w->lock);
		r = qc_write_compressed(b->img, b->off + at, b->buf + at, b->cluster);
		pthread_mutex_lock(&w->lock);
		if (r && !b->error)
			b->error = r;
	}
	remove_batch(w, b);
	if (!--b->threads)
		pthread_cond_broadcast(&w->done);
}

static void *run_thread(void *arg)
{
	struct cluster_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		if (w->batch)
			work_on_batch(w, w->batch);
		else
			pthread_cond_wait(&w->work, &w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Creates a thread for each further processor.  Without them the clusters are written by the thread
 * of the request. */
static void start_threads(struct cluster_writer *w)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	w->started = true;
	while (w->nthreads + 1 < cpus && w->nthreads < CLUSTER_WRITER_THREADS &&
	       !pthread_create(&w->thread[w->nthreads], NULL, run_thread, w))
		w->nthreads++;
}

void cluster_writer_begin(struct cluster_writer *w)
{
	*w = (struct cluster_writer){ .nthreads = 0 };
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->work, NULL);
	pthread_cond_init(&w->done, NULL);
}

void cluster_writer_end(struct cluster_writer *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
	for (unsigned int i = 0; i < w->nthreads; i++)
		pthread_join(w->thread[i], NULL);
	pthread_cond_destroy(&w->done);
	pthread_cond_destroy(&w->work);
	pthread_mutex_destroy(&w->lock);
}

int cluster_writer_run(struct cluster_writer *w, struct qc_image *img, uint64_t off,
		       const void *buf, size_t len)
{
	struct cluster_batch b = { img, off, buf, len, qc_cluster_size(img), 0, 0, 0, NULL };

	if (len <= b.cluster)
		return qc_write_compressed(img, off, buf, len);
	pthread_mutex_lock(&w->lock);
	if (!w->started)
		start_threads(w);
	b.next = w->batch;
	w->batch = &b;
	pthread_cond_broadcast(&w->work);
	work_on_batch(w, &b);
	while (b.threads)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
	return b.error;
}
