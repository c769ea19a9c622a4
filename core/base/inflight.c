/* SPDX-License-Identifier: MIT */
/*
 * inflight.c - two counts per shard, of which newcomers use one.
 *
 * A newcomer reads the side and then counts itself, so it may count on a side
 * that was given up in between.  Whoever waited for that side to be empty need
 * not have seen it: it looked nothing up before it was counted.  But the next
 * wait must, which is why each wait empties both sides, one after the other.
 * All operations on the counts are sequentially consistent.
 */
#include "base/inflight.h"

void qc_inflight_init(struct qc_inflight *g)
{
	atomic_init(&g->side, 0);
	atomic_init(&g->waiting, 0);
	atomic_init(&g->closed, 0);
	qc_mutex_init(&g->waiters, QC_RANK_INFLIGHT);
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->left, NULL);
	pthread_cond_init(&g->opened, NULL);
	for (int i = 0; i < QC_INFLIGHT_SHARDS; i++) {
		atomic_init(&g->shard[i].inside[0], 0);
		atomic_init(&g->shard[i].inside[1], 0);
		atomic_init(&g->shard[i].traffic.reads, 0);
		atomic_init(&g->shard[i].traffic.read_bytes, 0);
		atomic_init(&g->shard[i].traffic.writes, 0);
		atomic_init(&g->shard[i].traffic.written_bytes, 0);
	}
}

static unsigned int inside(struct qc_inflight *g, unsigned int side)
{
	unsigned int n = 0;

	for (int i = 0; i < QC_INFLIGHT_SHARDS; i++)
		n += atomic_load(&g->shard[i].inside[side]);
	return n;
}

void qc_inflight_destroy(struct qc_inflight *g)
{
	assert(inside(g, 0) == 0 && inside(g, 1) == 0);
	pthread_cond_destroy(&g->opened);
	pthread_cond_destroy(&g->left);
	pthread_mutex_destroy(&g->lock);
	qc_mutex_destroy(&g->waiters);
}

static unsigned int own_shard(void)
{
	static atomic_uint threads;
	static _Thread_local unsigned int mine;

	if (!mine)
		mine = atomic_fetch_add(&threads, 1) % QC_INFLIGHT_SHARDS + 1;
	return mine - 1;
}

struct qc_inflight_token qc_inflight_begin(struct qc_inflight *g)
{
	struct qc_inflight_token pass = { own_shard(), atomic_load(&g->side) };

	atomic_fetch_add(&g->shard[pass.shard].inside[pass.side], 1);
	while (atomic_load(&g->closed)) {
		qc_inflight_end(g, pass);
		pthread_mutex_lock(&g->lock);
		while (atomic_load(&g->closed))
			pthread_cond_wait(&g->opened, &g->lock);
		pthread_mutex_unlock(&g->lock);
		pass.side = atomic_load(&g->side);
		atomic_fetch_add(&g->shard[pass.shard].inside[pass.side], 1);
	}
	return pass;
}

void qc_inflight_end(struct qc_inflight *g, struct qc_inflight_token pass)
{
	atomic_fetch_sub(&g->shard[pass.shard].inside[pass.side], 1);
	if (!atomic_load(&g->waiting))
		return;
	pthread_mutex_lock(&g->lock);
	pthread_cond_broadcast(&g->left);
	pthread_mutex_unlock(&g->lock);
}

void qc_io_stats_sum(struct qc_inflight *g, struct qc_io_counters *out)
{
	*out = (struct qc_io_counters){ 0 };
	for (int i = 0; i < QC_INFLIGHT_SHARDS; i++) {
		struct qc_io_stats *t = &g->shard[i].traffic;

		out->reads += atomic_load_explicit(&t->reads, memory_order_relaxed);
		out->read_bytes += atomic_load_explicit(&t->read_bytes, memory_order_relaxed);
		out->writes += atomic_load_explicit(&t->writes, memory_order_relaxed);
		out->written_bytes += atomic_load_explicit(&t->written_bytes, memory_order_relaxed);
	}
}

static void empty_side(struct qc_inflight *g)
{
	unsigned int old = atomic_load(&g->side);

	atomic_store(&g->side, !old);
	pthread_mutex_lock(&g->lock);
	while (inside(g, old))
		pthread_cond_wait(&g->left, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

void qc_inflight_synchronize(struct qc_inflight *g)
{
	qc_lock(&g->waiters);
	atomic_store(&g->waiting, 1);
	empty_side(g);
	empty_side(g);
	atomic_store(&g->waiting, 0);
	qc_unlock(&g->waiters);
}

void qc_drain_begin(struct qc_inflight *g)
{
	assert(!atomic_load(&g->closed));
	atomic_store(&g->closed, 1);
	qc_inflight_synchronize(g);
}

void qc_drain_end(struct qc_inflight *g)
{
	pthread_mutex_lock(&g->lock);
	atomic_store(&g->closed, 0);
	pthread_cond_broadcast(&g->opened);
	pthread_mutex_unlock(&g->lock);
}
