/* SPDX-License-Identifier: MIT */
/*
 * request_limit.c - one slot for each image that had requests, with its queue.
 *
 * Slots are never removed: there are as many as nodes were in use at one time.
 *
 * The fast path takes no lock.  A request increments `inside`.  If that exceeds the limit, or
 * the queue is not empty, the request is queued and decrements `inside` again.  Every thread
 * that decrements `inside` checks the queue afterwards, and starts its first request if the
 * limit allows.  So of two threads that race, the later one sees the request of the other.
 */
#include "ops/request_limit.h"

#include <assert.h>
#include <stdlib.h>

struct limit_slot {
	uint64_t image;
	struct limit_slot *next;
	_Alignas(64) atomic_uint inside; /* requests in progress, or about to be queued */
	atomic_uint waiting;
	pthread_mutex_t lock;
	struct queued_request *first, **last; /* lock; the queue */
};

static _Atomic(struct limit_slot *) *bucket_of(struct request_limit *l, uint64_t image)
{
	return &l->bucket[(image * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static struct limit_slot *find_slot(struct request_limit *l, uint64_t image)
{
	struct limit_slot *s = atomic_load_explicit(bucket_of(l, image), memory_order_acquire);

	while (s && s->image != image)
		s = s->next;
	return s;
}

static struct limit_slot *add_slot(struct request_limit *l, uint64_t image)
{
	struct limit_slot *s = aligned_alloc(64, sizeof(*s));

	if (!s)
		return NULL;
	*s = (struct limit_slot){ .image = image, .next = atomic_load(bucket_of(l, image)) };
	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	atomic_store_explicit(bucket_of(l, image), s, memory_order_release);
	return s;
}

static struct limit_slot *find_or_add_slot(struct request_limit *l, uint64_t image)
{
	struct limit_slot *s = find_slot(l, image);

	if (s)
		return s;
	pthread_mutex_lock(&l->lock);
	s = find_slot(l, image);
	if (!s)
		s = add_slot(l, image);
	pthread_mutex_unlock(&l->lock);
	return s;
}

void request_limit_init(struct request_limit *l, unsigned int per_image)
{
	l->per_image = per_image;
	pthread_mutex_init(&l->lock, NULL);
	for (unsigned int i = 0; i < LIMIT_BUCKETS; i++)
		atomic_init(&l->bucket[i], NULL);
}

void request_limit_destroy(struct request_limit *l)
{
	for (unsigned int i = 0; i < LIMIT_BUCKETS; i++) {
		struct limit_slot *s = atomic_load(&l->bucket[i]), *next;

		for (; s; s = next) {
			next = s->next;
			assert(!atomic_load(&s->inside) && !s->first);
			pthread_mutex_destroy(&s->lock);
			free(s);
		}
	}
	pthread_mutex_destroy(&l->lock);
}

struct queued_request *request_limit_begin(struct request_limit *l, struct queued_request *r,
					   copy_request_fn *copy_to_queue)
{
	struct limit_slot *s = l->per_image ? find_or_add_slot(l, r->image) : NULL;
	struct queued_request *copy;

	r->slot = s;
	if (!s || (atomic_fetch_add(&s->inside, 1) < l->per_image && !atomic_load(&s->waiting)))
		return r;
	copy = copy_to_queue(r);
	if (!copy)
		return r;
	copy->next = NULL;
	pthread_mutex_lock(&s->lock);
	*s->last = copy;
	s->last = &copy->next;
	atomic_fetch_add(&s->waiting, 1);
	pthread_mutex_unlock(&s->lock);
	return request_limit_end(l, s);
}

/* Removes the first request of the queue, if the limit allows another one.  Needs s->lock. */
static struct queued_request *dequeue_request(struct limit_slot *s, unsigned int limit)
{
	struct queued_request *first = s->first;

	if (!first)
		return NULL;
	if (atomic_fetch_add(&s->inside, 1) >= limit) {
		atomic_fetch_sub(&s->inside, 1);
		return NULL;
	}
	s->first = first->next;
	if (!s->first)
		s->last = &s->first;
	atomic_fetch_sub(&s->waiting, 1);
	return first;
}

struct queued_request *request_limit_end(struct request_limit *l, struct limit_slot *slot)
{
	struct queued_request *next;

	if (!slot)
		return NULL;
	atomic_fetch_sub(&slot->inside, 1);
	if (!atomic_load(&slot->waiting))
		return NULL;
	pthread_mutex_lock(&slot->lock);
	next = dequeue_request(slot, l->per_image);
	pthread_mutex_unlock(&slot->lock);
	return next;
}
