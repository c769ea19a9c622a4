/* SPDX-License-Identifier: MIT */
/*
 * pending_free.h - deferred frees: extents that lost a reference, but are not free yet.
 *
 * A request puts an extent here when no table in memory references it any more.  A table
 * in the file may still do so, and another request may have looked the extent up before.
 * The checkpoint lowers the refcounts once both are over, like the pinned extents of
 * btrfs.
 *
 * Allocation never waits for a pending extent: when no cluster is free, the file grows.
 */
#ifndef QC_PENDING_FREE_H
#define QC_PENDING_FREE_H

#include "metadata/allocator.h"

/* Queues an extent that no table in memory references any more.  Without memory for the
 * list entry its clusters leak.  Version 1 has no refcounts: nothing happens. */
void qc_alloc_defer_free(struct qc_alloc *a, uint64_t off, uint64_t len);

/* Moves all pending extents to @out, whose memory is the caller's from then on. */
void qc_alloc_take_pending(struct qc_alloc *a, struct qc_free_list *out);

/* Puts the extents of @l back: the caller could not free them.  Empties @l. */
void qc_alloc_requeue_pending(struct qc_alloc *a, struct qc_free_list *l);

/* Merges the extents of @l, and puts all but the first @most back. */
void qc_alloc_requeue_beyond(struct qc_alloc *a, struct qc_free_list *l, size_t most);

/* Returns true if extents are pending. */
bool qc_alloc_has_pending(struct qc_alloc *a);

/*
 * qc_alloc_free_pending() - lower the refcounts of the extents in @l
 * @freed:  called for each run of clusters whose refcount is 1, before it becomes 0, so
 *          that caches forget the clusters before they can be allocated again
 *
 * Call it when the unlinking of the extents is durable and a grace period has passed.
 * Extents that could not be freed are pending again.  Empties @l.
 * Context: takes alloc.lock, but not across @freed.
 * Return: 0; QC_REFCOUNT_UNDERFLOW a refcount was 0 already; an errno of the file.
 */
typedef void qc_freed_fn(void *arg, uint64_t off, uint64_t len);
qc_err qc_alloc_free_pending(struct qc_alloc *a, struct qc_free_list *l, qc_freed_fn *freed,
			     void *arg);

#endif
