/* SPDX-License-Identifier: MIT */
/*
 * inflight.h - know when every request that began before now has ended.
 *
 * A request is inside the gate from its first table lookup to its last byte of
 * data, so what it looked up stays true for as long: a host cluster that is
 * unlinked meanwhile is not punched or given away before qc_inflight_synchronize() has seen
 * the request leave.  Requests never wait for a qc_inflight_synchronize() that is going on.
 * They wait outside of a closed gate, while something is changed that takes
 * away their right to write in place, or moves tables.
 *
 * Requests are counted per thread group (a shard, on a cache line of its own),
 * since a counter that all threads share would be the slowest part of a read.
 */
#ifndef QC_INFLIGHT_H
#define QC_INFLIGHT_H

#include <stdatomic.h>

#include "base/util.h"
#include "base/lock.h"

enum { QC_INFLIGHT_SHARDS = 8 };

struct qc_inflight {
	atomic_uint side; /* newcomers count on this one */
	atomic_uint waiting;
	atomic_uint closed;
	struct qc_mutex waiters; /* one qc_inflight_synchronize at a time */
	pthread_mutex_t lock;	 /* with `left` only */
	pthread_cond_t left, opened;
	struct qc_inflight_shard {
		_Alignas(64) atomic_uint inside[2];
		struct qc_io_stats {
			_Atomic uint64_t reads, read_bytes, writes, written_bytes;
		} traffic; /* of those who came by; costs no line of its own */
	} shard[QC_INFLIGHT_SHARDS];
};

struct qc_inflight_token {
	unsigned int shard, side;
};

void qc_inflight_init(struct qc_inflight *g);
void qc_inflight_destroy(struct qc_inflight *g); /* nobody is inside any more */

struct qc_inflight_token qc_inflight_begin(struct qc_inflight *g);
void qc_inflight_end(struct qc_inflight *g, struct qc_inflight_token pass);

/* Counts a request, by one who is inside; a write of 0 bytes is another change. */
static inline void qc_io_stats_count_read(struct qc_inflight *g, struct qc_inflight_token pass, uint64_t len)
{
	struct qc_io_stats *t = &g->shard[pass.shard].traffic;

	atomic_fetch_add_explicit(&t->reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->read_bytes, len, memory_order_relaxed);
}

static inline void qc_io_stats_count_write(struct qc_inflight *g, struct qc_inflight_token pass, uint64_t len)
{
	struct qc_io_stats *t = &g->shard[pass.shard].traffic;

	atomic_fetch_add_explicit(&t->writes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->written_bytes, len, memory_order_relaxed);
}

/* What was counted since the start. */
void qc_io_stats_sum(struct qc_inflight *g, struct qc_io_counters *out);

/* Returns when all who were inside at the call have left.  Never to be called
 * from inside. */
void qc_inflight_synchronize(struct qc_inflight *g);

/* Returns when nobody is inside, and lets nobody in before it is opened.  One
 * closes it at a time. */
void qc_drain_begin(struct qc_inflight *g);
void qc_drain_end(struct qc_inflight *g);

#endif
