/* SPDX-License-Identifier: MIT */
/*
 * inflight.h - requests in flight: grace periods and drained sections, like SRCU.
 *
 * A request is in flight from its first table lookup to its last byte of data.  What it
 * looked up stays valid meanwhile: the checkpoint frees an unlinked host cluster only
 * after a grace period, that is when qc_inflight_synchronize() has returned.  Requests
 * do not wait for a grace period.
 *
 * A drained section excludes all requests.  Changes that take away the right to write in
 * place (snapshots), or that move tables (resize), run in one.
 *
 * Requests are counted in shards, one cache line each.  One counter for all threads
 * would be the slowest part of a read.
 */
#ifndef QC_INFLIGHT_H
#define QC_INFLIGHT_H

#include <stdatomic.h>

#include "base/util.h"
#include "base/lock.h"

enum { QC_INFLIGHT_SHARDS = 8 };

struct qc_inflight {
	atomic_uint side;	   /* 0 or 1: new requests are counted on this one */
	atomic_uint waiting;	   /* a thread waits for `request_ended` */
	atomic_uint draining;	   /* new requests wait for `drain_ended` */
	struct qc_mutex sync_lock; /* one qc_inflight_synchronize() at a time */
	pthread_mutex_t lock;	   /* for the two conditions; a leaf */
	pthread_cond_t request_ended, drain_ended;
	struct qc_inflight_shard {
		_Alignas(64) atomic_uint count[2]; /* requests in flight, by side */
	} shard[QC_INFLIGHT_SHARDS];
};

/* Proves that a request is in flight.  Its shard is that of the thread. */
struct qc_inflight_token {
	unsigned int shard, side;
};

void qc_inflight_init(struct qc_inflight *f);

/* Asserts that no request is in flight. */
void qc_inflight_destroy(struct qc_inflight *f);

/* Begins a request.  Waits while a drained section lasts.  One thread may have several
 * requests in flight, but must not begin another one if it could meet a drain. */
struct qc_inflight_token qc_inflight_begin(struct qc_inflight *f);

/* Ends the request. */
void qc_inflight_end(struct qc_inflight *f, struct qc_inflight_token token);

/* Waits for a grace period: until all requests in flight at the call have ended.  Must
 * not be called by a request in flight. */
void qc_inflight_synchronize(struct qc_inflight *f);

/* Begins a drained section: waits until no request is in flight.  New requests wait until
 * qc_drain_end().  The caller excludes other drains (writer: resize_lock). */
void qc_drain_begin(struct qc_inflight *f);
void qc_drain_end(struct qc_inflight *f);

#endif
