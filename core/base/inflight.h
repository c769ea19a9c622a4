/* SPDX-License-Identifier: MIT */
/*
 * inflight.h - know when every request that began before now has ended.
 *
 * A request is inside the gate from its first table lookup to its last byte of
 * data, so what it looked up stays true for as long: a host cluster that is
 * unlinked meanwhile is not punched or given away before qc_gate_wait() has seen
 * the request leave.  Requests never wait for a qc_gate_wait() that is going on.
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

enum { QC_GATE_SHARDS = 8 };

struct qc_gate {
	atomic_uint side; /* newcomers count on this one */
	atomic_uint waiting;
	atomic_uint closed;
	struct qc_mutex waiters; /* one qc_gate_wait at a time */
	pthread_mutex_t lock;	 /* with `left` only */
	pthread_cond_t left, opened;
	struct qc_gate_shard {
		_Alignas(64) atomic_uint inside[2];
		struct qc_traffic {
			_Atomic uint64_t reads, read_bytes, writes, written_bytes;
		} traffic; /* of those who came by; costs no line of its own */
	} shard[QC_GATE_SHARDS];
};

struct qc_gate_pass {
	unsigned int shard, side;
};

void qc_gate_init(struct qc_gate *g);
void qc_gate_destroy(struct qc_gate *g); /* nobody is inside any more */

struct qc_gate_pass qc_gate_enter(struct qc_gate *g);
void qc_gate_leave(struct qc_gate *g, struct qc_gate_pass pass);

/* Counts a request, by one who is inside; a write of 0 bytes is another change. */
static inline void qc_gate_count_read(struct qc_gate *g, struct qc_gate_pass pass, uint64_t len)
{
	struct qc_traffic *t = &g->shard[pass.shard].traffic;

	atomic_fetch_add_explicit(&t->reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->read_bytes, len, memory_order_relaxed);
}

static inline void qc_gate_count_write(struct qc_gate *g, struct qc_gate_pass pass, uint64_t len)
{
	struct qc_traffic *t = &g->shard[pass.shard].traffic;

	atomic_fetch_add_explicit(&t->writes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->written_bytes, len, memory_order_relaxed);
}

/* What was counted since the start. */
void qc_gate_traffic(struct qc_gate *g, struct qc_io_counters *out);

/* Returns when all who were inside at the call have left.  Never to be called
 * from inside. */
void qc_gate_wait(struct qc_gate *g);

/* Returns when nobody is inside, and lets nobody in before it is opened.  One
 * closes it at a time. */
void qc_gate_close(struct qc_gate *g);
void qc_gate_open(struct qc_gate *g);

#endif
