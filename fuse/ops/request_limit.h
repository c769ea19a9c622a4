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

struct turn_key;

/* A request.  What else it needs stands behind it. */
struct turn {
	uint64_t key;	     /* what the request is for */
	struct turn_key *of; /* from turns_begin() on */
	struct turn *next;
};

struct turns {
	unsigned int share; /* most requests at once for one key; 0: any number */
	pthread_mutex_t lock; /* adding a key */
	_Atomic(struct turn_key *) bucket[TURN_BUCKETS];
};

/* An image that is stuck, and its folder while somebody lists that, leave one. */
static inline unsigned int turns_share(unsigned int threads)
{
	return threads < 3 ? threads - 1 : (threads - 1) / 2;
}

void turns_init(struct turns *t, unsigned int share);
void turns_destroy(struct turns *t); /* when no request is left */

/* The request to begin with: this one, or the copy that `keep` made of one that waited
 * longer.  NULL: this one waits, as a copy.  (If none can be made it does not.) */
struct turn *turns_begin(struct turns *t, struct turn *turn,
			 struct turn *(*keep)(struct turn *));

/* A request has ended: the next of its key, which has begun, or NULL. */
struct turn *turns_end(struct turns *t, struct turn_key *of);

#endif
