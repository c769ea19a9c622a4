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

struct qc_claim {
	uint64_t first, end; /* guest bytes */
	struct qc_claim *next;
};

struct qc_claims {
	struct qc_mutex lock;
	pthread_cond_t ended;
	struct qc_claim *oldest, **tail; /* lock */
};

void qc_claims_init(struct qc_claims *c);
void qc_claims_destroy(struct qc_claims *c);

/* Returns when no older claim overlaps. */
void qc_claim(struct qc_claims *c, struct qc_claim *mine, uint64_t first, uint64_t end);
void qc_unclaim(struct qc_claims *c, struct qc_claim *mine);

#endif
