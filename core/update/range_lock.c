/* SPDX-License-Identifier: MIT */
#include "update/range_lock.h"

void qc_range_locks_init(struct qc_range_locks *l)
{
	qc_mutex_init(&l->lock, QC_RANK_RANGE);
	pthread_cond_init(&l->unlocked, NULL);
	l->oldest = NULL;
	l->tail = &l->oldest;
}

void qc_range_locks_destroy(struct qc_range_locks *l)
{
	assert(!l->oldest);
	pthread_cond_destroy(&l->unlocked);
	qc_mutex_destroy(&l->lock);
}

/* Returns true if an older lock overlaps the range. */
static bool overlaps_older_lock(const struct qc_range_locks *l, const struct qc_locked_range *range)
{
	for (const struct qc_locked_range *i = l->oldest; i != range; i = i->next)
		if (i->first < range->end && range->first < i->end)
			return true;
	return false;
}

void qc_range_lock(struct qc_range_locks *l, struct qc_locked_range *range, uint64_t first,
		   uint64_t end)
{
	*range = (struct qc_locked_range){ first, end, NULL };
	qc_lock(&l->lock);
	*l->tail = range;
	l->tail = &range->next;
	while (overlaps_older_lock(l, range))
		qc_wait(&l->unlocked, &l->lock);
	qc_unlock(&l->lock);
}

void qc_range_unlock(struct qc_range_locks *l, struct qc_locked_range *range)
{
	struct qc_locked_range **p = &l->oldest;

	qc_lock(&l->lock);
	while (*p != range)
		p = &(*p)->next;
	*p = range->next;
	if (!range->next)
		l->tail = p;
	pthread_cond_broadcast(&l->unlocked);
	qc_unlock(&l->lock);
}
