/* SPDX-License-Identifier: MIT */
/*
 * allocator.h - which clusters of the image file are free.
 *
 *	free -> owned -> linked -> limbo -> free
 *
 * Owned: its count is up, but no table names it yet; a crash then leaks it, and
 * nothing is lost.  The reverse, a name without a count, must never reach the
 * disk.  Limbo: no table in memory names it any more, but one in the file may,
 * and a reader may still be on its way to it.  It becomes free when both are
 * over (qc_alloc_free_pending, called by the checkpoint).
 *
 * Allocation never waits for limbo: when nothing is free the file grows.
 */
#ifndef QC_ALLOCATOR_H
#define QC_ALLOCATOR_H

#include "base/lock.h"
#include "metadata/refcount.h"

/* A stretch of the file that was named once less. */
struct qc_free_extent {
	uint64_t off, len; /* bytes; whole clusters but for compressed ones */
};

struct qc_free_list {
	struct qc_free_extent *orphan;
	size_t n, room;
};

struct qc_alloc {
	struct qc_mutex lock; /* for all below; held across the I/O of blocks */
	struct qc_refcounts counts;  /* not of version 1 */
	bool counted;	      /* has refcounts: not version 1 */
	unsigned int cluster_bits;
	uint64_t cursor; /* no cluster below it is free */
	uint64_t never_written; /* clusters from here on were never written */
	/* Version 2: e2fsprogs overlooks L2 tables behind as many clusters as the
	 * disk has; the last free ones below that are kept for those to come. */
	uint64_t low_end, low_tables;
	uint64_t high; /* no cluster from low_end to here is free */
	struct qc_free_list limbo;
};

/* Notes a stretch in a list, together with the one before where they are one. */
qc_err qc_free_list_add(const struct qc_alloc *a, struct qc_free_list *l, uint64_t off, uint64_t len);

/* Takes up to `want` clusters in one piece.  *never_written: they read as zeros. */
enum qc_alloc_purpose { QC_ALLOC_DATA, QC_ALLOC_TABLE };
qc_err qc_alloc_clusters(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want, struct hoff *first,
		    uint64_t *got, bool *never_written);

/* Takes n clusters in one piece. */
qc_err qc_alloc_contiguous(struct qc_alloc *a, uint64_t n, struct hoff *first);

/* The cluster there was counted down to 0 by the caller, who has the lock. */
void qc_alloc_note_free(struct qc_alloc *a, uint64_t off) NEEDS(&a->lock);

/* Gives back what was owned and never linked. */
void qc_alloc_cancel(struct qc_alloc *a, struct hoff first, uint64_t n);

/* What a table does not name any more.  If there is no memory to note it, it
 * leaks. */
void qc_alloc_defer_free(struct qc_alloc *a, uint64_t off, uint64_t len);

/* All that is in limbo now. */
void qc_alloc_take_pending(struct qc_alloc *a, struct qc_free_list *out);

/* Their unlinking is in the file, and nobody is on the way to them: they are
 * counted down.  Of those that had their last name, `freed` is told before
 * they can be taken again.  Frees the list; what could not be done is in limbo again.  Damaged
 * counts are -ERANGE. */
typedef void qc_freed_fn(void *arg, uint64_t off, uint64_t len);
qc_err qc_alloc_free_pending(struct qc_alloc *a, struct qc_free_list *l, qc_freed_fn *freed, void *arg);

/* It was for nothing; back into limbo. */
void qc_alloc_requeue_pending(struct qc_alloc *a, struct qc_free_list *l);

#endif
