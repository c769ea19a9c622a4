/* SPDX-License-Identifier: MIT */
/*
 * cluster_writer.h - threads that compress the clusters of one write at the same time.
 *
 * The kernel sends the writes of a file one after the other.  So the threads that serve requests
 * cannot compress the disk that a program copies on more than one processor.
 */
#ifndef CLUSTER_WRITER_H
#define CLUSTER_WRITER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qc_image;
struct cluster_batch;

enum { CLUSTER_WRITER_THREADS = 7 }; /* at most; the thread of the request works, too */

struct cluster_writer {
	pthread_mutex_t lock;
	pthread_cond_t work, done;   /* a batch came; a thread has left one */
	struct cluster_batch *batch; /* lock; those with clusters that no thread has taken */
	pthread_t thread[CLUSTER_WRITER_THREADS];
	unsigned int nthreads; /* lock; created at the first write */
	bool started, stop;    /* lock */
};

void cluster_writer_begin(struct cluster_writer *w);

/* Ends the threads.  No write is in progress. */
void cluster_writer_end(struct cluster_writer *w);

/* Writes whole clusters by qc_write_compressed().  Return: as that of the first that failed. */
int cluster_writer_run(struct cluster_writer *w, struct qc_image *img, uint64_t off,
		       const void *buf, size_t len);

#endif
