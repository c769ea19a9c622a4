/* SPDX-License-Identifier: MIT */
/*
 * range_lock.h - who is about to change what a stretch of clusters is mapped to.
 *
 * Changes of overlapping stretches happen one after the other, in the order in
 * which they were claimed; others do not wait.  A claim is no lock: it is held
 * across I/O, and whoever waited for one looks everything up again.
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
	pthread_cond_t ended;
	struct qc_locked_range *oldest, **tail; /* lock */
};

void qc_range_locks_init(struct qc_range_locks *c);
void qc_range_locks_destroy(struct qc_range_locks *c);

/* Returns when no older claim overlaps. */
void qc_range_lock(struct qc_range_locks *c, struct qc_locked_range *mine, uint64_t first, uint64_t end);
void qc_range_unlock(struct qc_range_locks *c, struct qc_locked_range *mine);

#endif
