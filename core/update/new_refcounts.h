/* SPDX-License-Identifier: MIT */
/*
 * new_refcounts.h - a refcount table with its blocks, written beside the one in use.
 *
 * Called where all refcounts are stored anew: to change their width, and to rebuild a table that
 * is damaged.  The caller chooses clusters for the blocks and the table, and writes the blocks.
 * One write to the first sector of the header switches over.
 *
 * Invariant: before that write nothing in the file references the new clusters, and after it
 * nothing references the old table and its blocks.  A crash leaks one of the two groups.
 */
#ifndef QC_NEW_REFCOUNTS_H
#define QC_NEW_REFCOUNTS_H

#include "base/log.h"
#include "update/writer_fields.h"

#define QC_BLOCK_NEEDED UINT64_C(1)

/* An area is the clusters that one block covers. */
struct qc_new_refcounts {
	struct qc_writer *w;
	unsigned int order; /* a refcount has 1 << order bits */
	uint64_t *block;    /* by area: host offset; 0: no block; QC_BLOCK_NEEDED: no cluster yet */
	size_t areas, room;
	struct hoff table;
	uint64_t table_clusters;
};

void qc_new_refcounts_init(struct qc_new_refcounts *n, struct qc_writer *w, unsigned int order);
void qc_new_refcounts_free(struct qc_new_refcounts *n);

/* Returns log2 of the number of clusters in an area. */
static inline unsigned int qc_new_refcounts_area_bits(const struct qc_new_refcounts *n)
{
	return n->w->alloc.cluster_bits + 3 - n->order;
}

/* Notes that a block must cover @cluster.  Return: 0; -EFBIG the table would be too large;
 * -ENOMEM. */
qc_err qc_new_refcounts_need(struct qc_new_refcounts *n, uint64_t cluster);

/* Returns the number of clusters of a table for all areas. */
uint64_t qc_new_refcounts_table_need(const struct qc_new_refcounts *n);

/*
 * qc_new_refcounts_switch() - write the new table, and switch over to it
 *
 * All blocks are written, but need not be synced.  On success the allocator uses the new refcounts,
 * and the old table and its blocks are the caller's to free.
 * Context: the caller holds checkpoint_lock and alloc.lock.
 * Return: 0; -ENOMEM; an errno of the file, after which the header in the file may be the new one
 *	if the writer is aborted
 */
qc_err qc_new_refcounts_switch(struct qc_new_refcounts *n, struct qc_reason *why);

#endif
