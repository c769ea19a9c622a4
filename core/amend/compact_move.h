/* SPDX-License-Identifier: MIT */
/*
 * compact_move.h - move the clusters of a plan, and make all tables reference them there.
 *
 * Order, with a sync after each step:
 *
 *	1  refcounts of the new clusters
 *	2  copies of all clusters
 *	3  L2 entries, in the tables as they are and in their copies
 *	4  L1 entries; entries of bitmap tables; in the same way
 *	5  entries of the snapshot table, the bitmap directory and the refcount table
 *	6  the header
 *	7  refcounts of the old clusters
 *
 * A table and its copy are equal after each step, so either may be referenced.  Both clusters of
 * a move have the refcount of all references: after a crash some are leaked, and none is too low.
 *
 * The caller holds the image drained, with no dirty metadata.  So no request is in flight, and no
 * grace period is needed.  All of this is written past the caches and the checkpoint: after a
 * failure in the middle the caches are wrong, and the writer is aborted.
 */
#ifndef QC_COMPACT_MOVE_H
#define QC_COMPACT_MOVE_H

#include "amend/compact_plan.h"

/* Returns true if the work is to end. */
typedef bool qc_compact_stop_fn(void *arg);

/*
 * qc_compact_move() - run the plan
 * @stop:  asked during step 2, after which the plan cannot end before it is done; may be NULL
 *
 * If steps 1 and 2 fail, or are stopped, nothing has changed.  A later failure aborts the writer.
 * Context: in a drained section, with no dirty metadata.
 * Return: 0; -ECANCELED stopped; -ENOMEM; an errno of the file
 */
qc_err qc_compact_move(struct qc_compact_plan *p, qc_compact_stop_fn *stop, void *arg);

#endif
