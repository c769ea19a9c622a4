/* SPDX-License-Identifier: MIT */
/*
 * range_lock.h - locks on guest ranges, like QEMU's serialising requests.
 *
 * A request that changes L2 entries locks the clusters first.  Requests on overlapping ranges
 * run one after the other, in the order in which they came; others do not wait.
 *
 * A range lock has no rank: it is held across I/O.  A request that had to wait looks up the
 * clusters again, since the request before has changed them.
 */
#ifndef QC_RANGE_LOCK_H
#define QC_RANGE_LOCK_H

#include "base/lock.h"
#include "qcow.h"

struct qc_locked_range {
	uint64_t first, end; /* guest bytes */
	struct qc_locked_range *next;
};

struct qc_range_locks {
	struct qc_mutex lock;
	pthread_cond_t unlocked;
	struct qc_locked_range *oldest, **tail; /* lock; held and waiting, in their order */
};

void qc_range_locks_init(struct qc_range_locks *l);
void qc_range_locks_destroy(struct qc_range_locks *l);

/* Locks [first, end), and waits until no older lock overlaps it.  @range is memory of the
 * caller, until it unlocks. */
void qc_range_lock(struct qc_range_locks *l, struct qc_locked_range *range, uint64_t first,
		   uint64_t end);
void qc_range_unlock(struct qc_range_locks *l, struct qc_locked_range *range);

#endif
