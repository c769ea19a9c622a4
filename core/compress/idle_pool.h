/* SPDX-License-Identifier: MIT */
/*
 * idle_pool.h - a pool of idle encoders or decoders, which are expensive to make and cheap to keep.
 *
 * The first member of such an object is its struct qc_idle.
 */
#ifndef QC_IDLE_POOL_H
#define QC_IDLE_POOL_H

#include "base/lock.h"

struct qc_idle {
	struct qc_idle *next;
};

struct qc_idle_pool {
	struct qc_mutex lock;
	struct qc_idle *first; /* lock */
};

static inline void qc_idle_pool_init(struct qc_idle_pool *pool)
{
	pool->first = NULL;
	qc_mutex_init(&pool->lock, QC_RANK_POOL);
}

/* Takes an object out of the pool.  NULL: there is none. */
static inline void *qc_idle_pool_get(struct qc_idle_pool *pool)
{
	struct qc_idle *i;

	qc_lock(&pool->lock);
	i = pool->first;
	if (i)
		pool->first = i->next;
	qc_unlock(&pool->lock);
	return i;
}

static inline void qc_idle_pool_put(struct qc_idle_pool *pool, struct qc_idle *i)
{
	qc_lock(&pool->lock);
	i->next = pool->first;
	pool->first = i;
	qc_unlock(&pool->lock);
}

/* All objects have been taken out. */
static inline void qc_idle_pool_destroy(struct qc_idle_pool *pool)
{
	qc_mutex_destroy(&pool->lock);
}

#endif
