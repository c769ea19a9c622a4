/* SPDX-License-Identifier: MIT */
/*
 * request_limit.h - no image, however slow, takes all the workers.
 *
 * Requests for one image that are beyond its share of them wait, without holding a
 * worker; whoever ends a request of that image takes the next.
 */
#ifndef REQUEST_LIMIT_H
#define REQUEST_LIMIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TURN_BUCKETS = 1024 };

struct limit_slot;

/* A request.  What else it needs stands behind it. */
struct queued_request {
	uint64_t key;	     /* what the request is for */
	struct limit_slot *of; /* from request_limit_begin() on */
	struct queued_request *next;
};

struct request_limit {
	unsigned int share; /* most requests at once for one key; 0: any number */
	pthread_mutex_t lock; /* adding a key */
	_Atomic(struct limit_slot *) bucket[TURN_BUCKETS];
};

/* An image that is stuck, and its folder while somebody lists that, leave one. */
static inline unsigned int turns_share(unsigned int threads)
{
	return threads < 3 ? threads - 1 : (threads - 1) / 2;
}

void request_limit_init(struct request_limit *t, unsigned int share);
void request_limit_destroy(struct request_limit *t); /* when no request is left */

/* The request to begin with: this one, or the copy that `keep` made of one that waited
 * longer.  NULL: this one waits, as a copy.  (If none can be made it does not.) */
struct queued_request *request_limit_begin(struct request_limit *t, struct queued_request *turn,
			 struct queued_request *(*keep)(struct queued_request *));

/* A request has ended: the next of its key, which has begun, or NULL. */
struct queued_request *request_limit_end(struct request_limit *t, struct limit_slot *of);

#endif
