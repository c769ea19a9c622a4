/* SPDX-License-Identifier: MIT */
/*
 * atomic_update.h - change many refcounts and tables with one write of the header.
 *
 * snapshot/ uses it: a snapshot that is taken or deleted changes the refcount of every
 * cluster that it references, and COPIED of many entries.  No order of writes keeps both in
 * step at each crash.  So this is shadow paging: all refcount blocks are written anew to
 * other clusters, with all other tables that change.  The header fields of the L1 table, the
 * refcount table and the snapshot table are adjacent, and one write in the first sector
 * switches to all of them.
 *
 * Invariant: before that write no table in the file references the new clusters, and after
 * it none references the old ones.  A crash leaks one of the two groups.
 *
 * The caller holds the image drained, with no dirty metadata.  Order of calls:
 *
 *	init, reserve..., reserve_refcounts, begin, (adjust, next_cluster)..., commit or abort, end
 */
#ifndef QC_ATOMIC_UPDATE_H
#define QC_ATOMIC_UPDATE_H

#include "layer/cluster_map.h"
#include "update/writer.h"

struct qc_atomic_update {
	struct qc_writer *w;
	/* Header fields after the switch.  The caller sets them before the commit. */
	uint64_t size; /* of the disk */
	struct qc_l1_table l1;
	uint32_t snapshots;
	uint64_t snapshots_offset;

	struct hoff *reserved; /* single clusters */
	size_t n_reserved, capacity, n_used;
	struct qc_free_list runs; /* reserved runs */
	struct hoff table;	  /* reserved for the new refcount table */
	uint64_t table_clusters;
	uint64_t *old_blocks, old_table; /* the refcount table before begin */
	bool old_dirty, committed;
	struct qc_free_list freed; /* clusters whose refcount has become 0 */
};

void qc_atomic_update_init(struct qc_atomic_update *a, struct qc_writer *w);

/* Allocates @n single clusters, which qc_atomic_update_next_cluster() hands out.
 * Return: 0; as qc_alloc_clusters(). */
qc_err qc_atomic_update_reserve(struct qc_atomic_update *a, uint64_t n);

/* Allocates @n contiguous clusters; *first is 0 if @n is 0.  Return: as qc_alloc_contiguous(). */
qc_err qc_atomic_update_reserve_run(struct qc_atomic_update *a, uint64_t n, struct hoff *first);

/* Allocates clusters for new refcount blocks and a new refcount table.  The last reservation:
 * others may need more blocks.  Return: as qc_alloc_contiguous(). */
qc_err qc_atomic_update_reserve_refcounts(struct qc_atomic_update *a);

/* Copies the refcount blocks to reserved clusters, where all changes go from then on.
 * Context: takes checkpoint_lock and alloc.lock.  A successful commit, or abort, releases
 *          them; so the caller calls abort also if this fails.
 * Return: 0; -EIO the writer is aborted; -ENOMEM; an errno of the file. */
qc_err qc_atomic_update_begin(struct qc_atomic_update *a);

/* Returns the next of the reserved single clusters. */
struct hoff qc_atomic_update_next_cluster(struct qc_atomic_update *a);

/* Adds @by, 1 or -1, to the refcounts of the clusters of an extent.
 * Return: 0; -EOVERFLOW a refcount has its largest value; -EIO a refcount is 0, which is
 *         logged; an errno of the file. */
qc_err qc_atomic_update_adjust(struct qc_atomic_update *a, uint64_t off, uint64_t len, int by);

/* Reads the refcount of the cluster at @host, as changed so far. */
qc_err qc_atomic_update_refcount(struct qc_atomic_update *a, struct hoff host, uint64_t *count);

/* Frees the clusters that are not used any more, and switches to the new tables.
 * Return: as qc_atomic_update_adjust(). */
qc_err qc_atomic_update_commit(struct qc_atomic_update *a);

/* Restores the refcounts as they were before begin. */
void qc_atomic_update_abort(struct qc_atomic_update *a);

/* Frees all memory and, without a commit, the reserved clusters. */
void qc_atomic_update_end(struct qc_atomic_update *a);

#endif
