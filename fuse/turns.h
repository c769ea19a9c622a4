/* SPDX-License-Identifier: MIT */
/*
 * turns.h - no image, however slow, takes all the workers.
 *
 * Requests for one image that are beyond its share of them wait, without holding a
 * worker; whoever ends a request of that image takes the next.
 */
#ifndef TURNS_H
#define TURNS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { TURN_BUCKETS = 64 };

/* A request.  What else it needs stands behind it. */
struct turn {
	uint64_t key; /* what the request is for */
	struct turn *next;
};

struct turns {
	unsigned int share; /* most requests at once for one key; 0: any number */
	struct turn_bucket {
		_Alignas(64) pthread_mutex_t lock;
		struct turn_key *keys; /* lock; for which there are requests */
	} bucket[TURN_BUCKETS];
};

/* An image that is stuck, and its folder while somebody lists that, leave one. */
static inline unsigned int turns_share(unsigned int threads)
{
	return threads < 3 ? threads - 1 : (threads - 1) / 2;
}

void turns_init(struct turns *t, unsigned int share);
void turns_destroy(struct turns *t); /* when no request is left */

/* Whether a request for this key may begin.  If not, a copy that `keep` made of it will
 * be given to whoever ends one.  If that fails (NULL) it may begin. */
bool turns_begin(struct turns *t, struct turn *turn, struct turn *(*keep)(struct turn *));

/* One request for the key has ended: the next of it, which has begun, or NULL. */
struct turn *turns_end(struct turns *t, uint64_t key);

#endif
