/* SPDX-License-Identifier: MIT */
/*
 * inflight.c - two counters per shard, of which new requests use one.
 *
 * qc_inflight_begin() reads `side` and then increments the counter of that side.  A
 * waiter may switch sides in between: the request is then counted on the side that the
 * waiter has found empty.  That waiter may ignore the request, which has not looked up
 * anything yet.  The next waiter must not.  So each wait drains both sides in turn, as
 * SRCU does.
 *
 * A waiter reads a counter by adding 0 to it.  So of its change and that of a request one is
 * first: either the waiter sees the request, or the request sees all that the waiter's
 * thread did before, such as unlinking an extent or setting `draining`.  A load would not be enough
 * on processors that load before their earlier stores are visible (tests/models/grace-period.litmus).
 */
#include "base/inflight.h"

#include "base/thread_number.h"

void qc_inflight_init(struct qc_inflight *f)
{
	atomic_init(&f->side, 0);
	atomic_init(&f->waiting, 0);
	atomic_init(&f->draining, 0);
	qc_mutex_init(&f->sync_lock, QC_RANK_INFLIGHT);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->request_ended, NULL);
	pthread_cond_init(&f->drain_ended, NULL);
	for (int i = 0; i < QC_INFLIGHT_SHARDS; i++) {
		atomic_init(&f->shard[i].count[0], 0);
		atomic_init(&f->shard[i].count[1], 0);
	}
}

static unsigned int count_requests(struct qc_inflight *f, unsigned int side)
{
	unsigned int n = 0;

	for (int i = 0; i < QC_INFLIGHT_SHARDS; i++)
		n += atomic_fetch_add(&f->shard[i].count[side], 0);
	return n;
}

void qc_inflight_destroy(struct qc_inflight *f)
{
	assert(count_requests(f, 0) == 0 && count_requests(f, 1) == 0);
	pthread_cond_destroy(&f->drain_ended);
	pthread_cond_destroy(&f->request_ended);
	pthread_mutex_destroy(&f->lock);
	qc_mutex_destroy(&f->sync_lock);
}

struct qc_inflight_token qc_inflight_begin(struct qc_inflight *f)
{
	struct qc_inflight_token token = { qc_thread_number() % QC_INFLIGHT_SHARDS, atomic_load(&f->side) };

	atomic_fetch_add(&f->shard[token.shard].count[token.side], 1);
	while (atomic_load(&f->draining)) {
		qc_inflight_end(f, token);
		pthread_mutex_lock(&f->lock);
		while (atomic_load(&f->draining))
			pthread_cond_wait(&f->drain_ended, &f->lock);
		pthread_mutex_unlock(&f->lock);
		token.side = atomic_load(&f->side);
		atomic_fetch_add(&f->shard[token.shard].count[token.side], 1);
	}
	return token;
}

void qc_inflight_end(struct qc_inflight *f, struct qc_inflight_token token)
{
	atomic_fetch_sub(&f->shard[token.shard].count[token.side], 1);
	if (!atomic_load(&f->waiting))
		return;
	pthread_mutex_lock(&f->lock);
	pthread_cond_broadcast(&f->request_ended);
	pthread_mutex_unlock(&f->lock);
}

/* Sends new requests to the other side, and waits until this side has none. */
static void drain_side(struct qc_inflight *f)
{
	unsigned int old = atomic_load(&f->side);

	atomic_store(&f->side, !old);
	pthread_mutex_lock(&f->lock);
	while (count_requests(f, old))
		pthread_cond_wait(&f->request_ended, &f->lock);
	pthread_mutex_unlock(&f->lock);
}

void qc_inflight_synchronize(struct qc_inflight *f)
{
	qc_lock(&f->sync_lock);
	atomic_store(&f->waiting, 1);
	drain_side(f);
	drain_side(f);
	atomic_store(&f->waiting, 0);
	qc_unlock(&f->sync_lock);
}

void qc_drain_begin(struct qc_inflight *f)
{
	assert(!atomic_load(&f->draining));
	atomic_store(&f->draining, 1);
	qc_inflight_synchronize(f);
}

void qc_drain_end(struct qc_inflight *f)
{
	pthread_mutex_lock(&f->lock);
	atomic_store(&f->draining, 0);
	pthread_cond_broadcast(&f->drain_ended);
	pthread_mutex_unlock(&f->lock);
}
