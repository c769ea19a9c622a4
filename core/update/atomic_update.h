/* SPDX-License-Identifier: MIT */
/*
 * atomic_update.h - a change of counts and tables that shows in the file all at once.
 *
 * A snapshot that comes or goes changes the count of every cluster that it names,
 * and with some counts the COPIED flags of the live tables.  No order of
 * writing these keeps both in step.  So all refcount blocks are written anew
 * elsewhere, and what else changes with them; the places of the refcount table,
 * the L1 table and the table of snapshots stand side by side in the header, and one
 * write of its first sector switches over.  A crash before it leaves clusters
 * that nobody counts or names.
 *
 * Meanwhile the gate is closed, and nothing in memory is ahead of the file.
 *
 *	init, own..., own_counts, begin, (add, place)..., commit or abort, end
 */
#ifndef QC_ATOMIC_UPDATE_H
#define QC_ATOMIC_UPDATE_H

#include "layer/cluster_map.h"
#include "update/writer.h"

struct qc_atomic_update {
	struct qc_writer *w;
	/* What the header will say; the caller's to change before the commit. */
	struct qc_l1_table root;
	uint32_t snapshots;
	uint64_t snapshots_offset;

	struct hoff *pool; /* single clusters that were taken for it */
	size_t n, room, used;
	struct qc_free_list runs; /* and runs */
	struct hoff table;
	uint64_t table_clusters;
	uint64_t *blocks_before, table_before; /* of the refcount table */
	bool dirty_before, committed;
	struct qc_free_list freed;
};

void qc_atomic_update_init(struct qc_atomic_update *s, struct qc_writer *w);

/* Takes n single clusters, which qc_atomic_update_next_cluster() gives out, or a run. */
qc_err qc_atomic_update_reserve(struct qc_atomic_update *s, uint64_t n);
qc_err qc_atomic_update_reserve_run(struct qc_atomic_update *s, uint64_t n, struct hoff *first);

/* The last to be taken: places for the blocks and their table. */
qc_err qc_atomic_update_reserve_refcounts(struct qc_atomic_update *s);

/* Takes checkpoint_lock and alloc.lock, which commit (unless it fails) or abort releases.
 * All clusters have been reserved.  Refcounts are changed in new blocks only. */
qc_err qc_atomic_update_begin(struct qc_atomic_update *s);
struct hoff qc_atomic_update_next_cluster(struct qc_atomic_update *s);

/* Names the clusters of a stretch once more (by 1) or less (-1).  QC_REFCOUNT_UNDERFLOW if
 * one has no name at all, -EOVERFLOW if it can have no more. */
qc_err qc_atomic_update_adjust(struct qc_atomic_update *s, uint64_t off, uint64_t len, int by);

/* Reads the refcount of the cluster at @host, as changed so far. */
qc_err qc_atomic_update_refcount(struct qc_atomic_update *s, struct hoff host, uint64_t *count);

/* Lowers what is not in use any more, and switches over. */
qc_err qc_atomic_update_commit(struct qc_atomic_update *s);

/* Everything is as it was. */
void qc_atomic_update_abort(struct qc_atomic_update *s);

/* Without the locks: gives back what was taken for nothing. */
void qc_atomic_update_end(struct qc_atomic_update *s);

#endif
