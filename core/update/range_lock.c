/* SPDX-License-Identifier: MIT */
#include "update/range_lock.h"

void qc_range_locks_init(struct qc_range_locks *c)
{
	qc_mutex_init(&c->lock, QC_RANK_RANGE);
	pthread_cond_init(&c->ended, NULL);
	c->oldest = NULL;
	c->tail = &c->oldest;
}

void qc_range_locks_destroy(struct qc_range_locks *c)
{
	assert(!c->oldest);
	pthread_cond_destroy(&c->ended);
	qc_mutex_destroy(&c->lock);
}

/* Whether a claim before mine overlaps it. */
static bool must_wait(const struct qc_range_locks *c, const struct qc_locked_range *mine)
{
	for (const struct qc_locked_range *i = c->oldest; i != mine; i = i->next)
		if (i->first < mine->end && mine->first < i->end)
			return true;
	return false;
}

void qc_range_lock(struct qc_range_locks *c, struct qc_locked_range *mine, uint64_t first, uint64_t end)
{
	*mine = (struct qc_locked_range){ first, end, NULL };
	qc_lock(&c->lock);
	*c->tail = mine;
	c->tail = &mine->next;
	while (must_wait(c, mine))
		qc_wait(&c->ended, &c->lock);
	qc_unlock(&c->lock);
}

void qc_range_unlock(struct qc_range_locks *c, struct qc_locked_range *mine)
{
	struct qc_locked_range **p = &c->oldest;

	qc_lock(&c->lock);
	while (*p != mine)
		p = &(*p)->next;
	*p = mine->next;
	if (!mine->next)
		c->tail = p;
	pthread_cond_broadcast(&c->ended);
	qc_unlock(&c->lock);
}
