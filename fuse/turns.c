/* SPDX-License-Identifier: MIT */
/*
 * turns.c - for each key with requests: how many are at it, and who waits.
 *
 * A key is what a request is for by the kernel's number, or any other; it is only
 * compared.  While requests wait, the share of the key is taken.
 */
#include "turns.h"

#include <assert.h>
#include <stdlib.h>

struct turn_key {
	uint64_t key;
	unsigned int inside;
	struct turn *first, **last; /* who waits */
	struct turn_key *next;
};

static struct turn_bucket *bucket_of(struct turns *t, uint64_t key)
{
	return &t->bucket[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 58];
}

static struct turn_key **find(struct turn_bucket *b, uint64_t key)
{
	struct turn_key **p = &b->keys;

	while (*p && (*p)->key != key)
		p = &(*p)->next;
	return p;
}

static struct turn_key *find_or_make(struct turn_bucket *b, uint64_t key)
{
	struct turn_key **p = find(b, key);

	if (*p)
		return *p;
	*p = calloc(1, sizeof(**p));
	if (*p) {
		(*p)->key = key;
		(*p)->last = &(*p)->first;
	}
	return *p;
}

void turns_init(struct turns *t, unsigned int share)
{
	t->share = share;
	for (unsigned int i = 0; i < TURN_BUCKETS; i++) {
		t->bucket[i].keys = NULL;
		pthread_mutex_init(&t->bucket[i].lock, NULL);
	}
}

void turns_destroy(struct turns *t)
{
	for (unsigned int i = 0; i < TURN_BUCKETS; i++) {
		assert(!t->bucket[i].keys);
		pthread_mutex_destroy(&t->bucket[i].lock);
	}
}

bool turns_begin(struct turns *t, struct turn *turn, struct turn *(*keep)(struct turn *))
{
	struct turn_bucket *b = bucket_of(t, turn->key);
	struct turn *kept = NULL;
	struct turn_key *k;

	if (!t->share)
		return true;
	pthread_mutex_lock(&b->lock);
	k = find_or_make(b, turn->key);
	if (k && k->inside >= t->share)
		kept = keep(turn);
	if (kept) {
		kept->next = NULL;
		*k->last = kept;
		k->last = &kept->next;
	} else if (k) {
		k->inside++;
	}
	pthread_mutex_unlock(&b->lock);
	return !kept;
}

/* Without memory a request may have begun that was not counted. */
struct turn *turns_end(struct turns *t, uint64_t key)
{
	struct turn_bucket *b = bucket_of(t, key);
	struct turn *next = NULL;
	struct turn_key **p, *k;

	if (!t->share)
		return NULL;
	pthread_mutex_lock(&b->lock);
	p = find(b, key);
	k = *p;
	if (k && k->first && k->inside <= t->share) {
		next = k->first;
		k->first = next->next;
		if (!k->first)
			k->last = &k->first;
	} else if (k && !--k->inside) {
		*p = k->next;
		free(k);
	}
	pthread_mutex_unlock(&b->lock);
	return next;
}
