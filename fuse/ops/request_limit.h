/* SPDX-License-Identifier: MIT */
/*
 * request_limit.h - a limit for the requests that one image has in progress.
 *
 * An image on a file system that does not answer must not occupy all worker threads.  A
 * request beyond the limit of its image is copied and queued, and its thread is free.  The
 * thread that ends a request of this image goes on with the first one of the queue.
 */
#ifndef REQUEST_LIMIT_H
#define REQUEST_LIMIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { LIMIT_BUCKETS = 1024 };

struct limit_slot;

/* A request.  It is the first member of the caller's struct. */
struct queued_request {
	uint64_t image;		 /* identifies the image; only compared */
	struct limit_slot *slot; /* set by request_limit_begin() */
	struct queued_request *next;
};

/* Copies a request with all that its arguments point to.  NULL: no memory. */
typedef struct queued_request *copy_request_fn(struct queued_request *r);

struct request_limit {
	unsigned int per_image; /* most requests in progress for one image; 0: no limit */
	pthread_mutex_t lock;	/* for adding a slot */
	_Atomic(struct limit_slot *) bucket[LIMIT_BUCKETS];
};

/* Returns the limit for a number of threads.  If one image is stuck, and a listing of its
 * folder as well, one thread is left. */
static inline unsigned int request_limit_for_threads(unsigned int threads)
{
	return threads < 3 ? threads - 1 : (threads - 1) / 2;
}

void request_limit_init(struct request_limit *l, unsigned int per_image);
void request_limit_destroy(struct request_limit *l); /* when no request is left */

/* Returns the request to serve now: `r`, or the copy of one that has waited longer.  Returns
 * NULL if `r` was queued as a copy, which `copy_to_queue` made.  If `copy_to_queue` returns
 * NULL for want of memory, `r` is served in spite of the limit. */
struct queued_request *request_limit_begin(struct request_limit *l, struct queued_request *r,
					   copy_request_fn *copy_to_queue);

/* Ends a request.  Returns the next one of the queue, to be served now, or NULL. */
struct queued_request *request_limit_end(struct request_limit *l, struct limit_slot *slot);

#endif
