/* SPDX-License-Identifier: MIT */
/*
 * request_limit.c - for each key that there were requests for: how many are at it, and who waits.
 *
 * A key is what a request is for by the kernel's number, or any other; it is only
 * compared.  Keys stay: there are as many as there were files at once.
 *
 * Who has a turn takes no lock.  A newcomer counts itself first, and one that finds all
 * turns taken, or others waiting, waits and then gives its count back as one that ends;
 * whoever ends looks whether somebody waits, and lets him begin if a turn is free.  So
 * the last to look finds who came before, and he whom it did not find looks later.
 */
#include "ops/request_limit.h"

#include <assert.h>
#include <stdlib.h>

struct limit_slot {
	uint64_t key;
	struct limit_slot *next;
	_Alignas(64) atomic_uint inside; /* requests at it, and those about to wait */
	atomic_uint waiting;
	pthread_mutex_t lock;
	struct queued_request *first, **last; /* lock; who waits */
};

static _Atomic(struct limit_slot *) *bucket_of(struct request_limit *t, uint64_t key)
{
	return &t->bucket[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static struct limit_slot *find(struct request_limit *t, uint64_t key)
{
	struct limit_slot *k = atomic_load_explicit(bucket_of(t, key), memory_order_acquire);

	while (k && k->key != key)
		k = k->next;
	return k;
}

static struct limit_slot *make(struct request_limit *t, uint64_t key)
{
	struct limit_slot *k = aligned_alloc(64, sizeof(*k));

	if (!k)
		return NULL;
	*k = (struct limit_slot){ .key = key, .next = atomic_load(bucket_of(t, key)) };
	k->last = &k->first;
	pthread_mutex_init(&k->lock, NULL);
	atomic_store_explicit(bucket_of(t, key), k, memory_order_release);
	return k;
}

static struct limit_slot *find_or_make(struct request_limit *t, uint64_t key)
{
	struct limit_slot *k = find(t, key);

	if (k)
		return k;
	pthread_mutex_lock(&t->lock);
	k = find(t, key);
	if (!k)
		k = make(t, key);
	pthread_mutex_unlock(&t->lock);
	return k;
}

void request_limit_init(struct request_limit *t, unsigned int share)
{
	t->share = share;
	pthread_mutex_init(&t->lock, NULL);
	for (unsigned int i = 0; i < TURN_BUCKETS; i++)
		atomic_init(&t->bucket[i], NULL);
}

void request_limit_destroy(struct request_limit *t)
{
	for (unsigned int i = 0; i < TURN_BUCKETS; i++) {
		struct limit_slot *k = atomic_load(&t->bucket[i]), *next;

		for (; k; k = next) {
			next = k->next;
			assert(!atomic_load(&k->inside) && !k->first);
			pthread_mutex_destroy(&k->lock);
			free(k);
		}
	}
	pthread_mutex_destroy(&t->lock);
}

struct queued_request *request_limit_begin(struct request_limit *t, struct queued_request *turn,
			 struct queued_request *(*keep)(struct queued_request *))
{
	struct limit_slot *k = t->share ? find_or_make(t, turn->key) : NULL;
	struct queued_request *kept;

	turn->of = k;
	if (!k || (atomic_fetch_add(&k->inside, 1) < t->share && !atomic_load(&k->waiting)))
		return turn;
	kept = keep(turn);
	if (!kept)
		return turn;
	kept->next = NULL;
	pthread_mutex_lock(&k->lock);
	*k->last = kept;
	k->last = &kept->next;
	atomic_fetch_add(&k->waiting, 1);
	pthread_mutex_unlock(&k->lock);
	return request_limit_end(t, k);
}

/* The first who waits, if he may begin. */
static struct queued_request *take_first(struct limit_slot *k, unsigned int share)
{
	struct queued_request *first = k->first;

	if (!first)
		return NULL;
	if (atomic_fetch_add(&k->inside, 1) >= share) {
		atomic_fetch_sub(&k->inside, 1);
		return NULL;
	}
	k->first = first->next;
	if (!k->first)
		k->last = &k->first;
	atomic_fetch_sub(&k->waiting, 1);
	return first;
}

struct queued_request *request_limit_end(struct request_limit *t, struct limit_slot *of)
{
	struct queued_request *next;

	if (!of)
		return NULL;
	atomic_fetch_sub(&of->inside, 1);
	if (!atomic_load(&of->waiting))
		return NULL;
	pthread_mutex_lock(&of->lock);
	next = take_first(of, t->share);
	pthread_mutex_unlock(&of->lock);
	return next;
}
