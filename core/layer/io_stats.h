/* SPDX-License-Identifier: MIT */
/*
 * io_stats.h - how many requests and bytes a layer has served.
 *
 * Counters are in shards, those of the requests in flight, so that threads do not share a
 * cache line.  The sum is exact once the requests have ended.
 */
#ifndef QC_IO_STATS_H
#define QC_IO_STATS_H

#include "base/inflight.h"

struct qc_io_stats {
	struct {
		_Alignas(64) _Atomic uint64_t reads;
		_Atomic uint64_t read_bytes, writes, written_bytes;
	} shard[QC_INFLIGHT_SHARDS];
};

/* Counts a read of @len bytes, by the request that holds @token. */
static inline void qc_io_stats_count_read(struct qc_io_stats *s, struct qc_inflight_token token,
					  uint64_t len)
{
	atomic_fetch_add_explicit(&s->shard[token.shard].reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->shard[token.shard].read_bytes, len, memory_order_relaxed);
}

/* Counts a change of @len bytes, by the request that holds @token.  Changes that write no
 * guest data (write zeroes, discard) count as writes of 0 bytes. */
static inline void qc_io_stats_count_write(struct qc_io_stats *s, struct qc_inflight_token token,
					   uint64_t len)
{
	atomic_fetch_add_explicit(&s->shard[token.shard].writes, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->shard[token.shard].written_bytes, len, memory_order_relaxed);
}

/* Adds up all shards. */
static inline void qc_io_stats_sum(struct qc_io_stats *s, struct qc_io_counters *out)
{
	*out = (struct qc_io_counters){ 0 };
	for (int i = 0; i < QC_INFLIGHT_SHARDS; i++) {
		out->reads += atomic_load_explicit(&s->shard[i].reads, memory_order_relaxed);
		out->read_bytes += atomic_load_explicit(&s->shard[i].read_bytes,
							memory_order_relaxed);
		out->writes += atomic_load_explicit(&s->shard[i].writes, memory_order_relaxed);
		out->written_bytes += atomic_load_explicit(&s->shard[i].written_bytes,
							   memory_order_relaxed);
	}
}

#endif
