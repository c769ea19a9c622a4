/* SPDX-License-Identifier: MIT */
/*
 * allocator.h - allocates clusters of the image file, and guards the refcounts.
 *
 *	free -> allocated -> linked -> pending -> free
 *
 * Allocated: the refcount is raised, but no table references the cluster yet.  A crash
 * leaks the cluster.  The reverse, a reference without a refcount, must never reach the
 * file.  Linked: a table in memory references the cluster.  Pending: see pending_free.h.
 *
 * Version 1 has no refcounts.  There the allocator only appends, and frees nothing.
 */
#ifndef QC_ALLOCATOR_H
#define QC_ALLOCATOR_H

#include "base/lock.h"
#include "metadata/free_list.h"
#include "metadata/refcount.h"

struct qc_alloc {
	struct qc_mutex lock; /* guards all fields below; held across I/O of refcount blocks */
	struct qc_refcounts refcounts; /* unused in version 1 */
	bool has_refcounts;	       /* false for version 1 */
	unsigned int cluster_bits;
	uint64_t cursor;	/* cluster; none below is free */
	uint64_t never_written; /* cluster; from here on all read as zeros */
	/* Version 2: the qcow2 reader of e2fsprogs ignores an L2 table whose cluster number is
	 * not below the number of clusters of the disk.  So the last free clusters below that
	 * number are reserved for L2 tables. */
	uint64_t table_zone_end, table_zone_reserved; /* cluster; clusters */
	uint64_t data_cursor; /* cluster; none from table_zone_end to here is free */
	/* Host offset behind the last compressed data; no whole cluster.  The rest of its cluster
	 * is free for more compressed data.  0: there is no such cluster. */
	uint64_t compressed_end;
	struct qc_free_list pending;
};

enum qc_alloc_purpose { QC_ALLOC_DATA, QC_ALLOC_TABLE };

/*
 * qc_alloc_clusters() - allocate up to @want contiguous clusters
 * @use:            data or table; version 2 reserves low clusters for tables
 * @first:          out: host offset of the first cluster
 * @got:            out: 1 <= *got <= @want
 * @never_written:  out: the clusters read as zeros
 *
 * Raises their refcounts in memory.
 * Context: takes alloc.lock; may read and write refcount blocks.
 * Return: 0; -EFBIG the file can grow no further; an errno of the file.
 */
qc_err qc_alloc_clusters(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want,
			 struct hoff *first, uint64_t *got, bool *never_written);

/* Allocates exactly @n contiguous clusters.  Return: as qc_alloc_clusters(); -ENOMEM. */
qc_err qc_alloc_contiguous(struct qc_alloc *a, uint64_t n, struct hoff *first);

/* Frees @n clusters that were allocated and never linked.  If a refcount cannot be lowered
 * now, as on a full file system, the cluster becomes pending. */
void qc_alloc_cancel(struct qc_alloc *a, struct hoff first, uint64_t n);

/*
 * qc_alloc_bytes() - allocate bytes for the compressed data of one cluster
 * @len:    less than a cluster
 * @first:  out: host offset of the first byte
 *
 * Packs the data behind that of the last call, as long as the next cluster follows on.  Raises
 * the refcounts of the one or two host clusters that the bytes are in.
 * Return: as qc_alloc_clusters()
 */
qc_err qc_alloc_bytes(struct qc_alloc *a, uint64_t len, struct hoff *first);

/* Frees bytes that were allocated and never linked.  Otherwise as qc_alloc_cancel(). */
void qc_alloc_cancel_bytes(struct qc_alloc *a, struct hoff first, uint64_t len);

/* Packs no more compressed data into the clusters [first, end), which become free. */
void qc_alloc_end_packing(struct qc_alloc *a, uint64_t first, uint64_t end) NEEDS(&a->lock);

/* Tells the allocator that the refcounts of the clusters at @off become 0 before the caller
 * unlocks a->lock.  @len: bytes. */
void qc_alloc_note_free(struct qc_alloc *a, uint64_t off, uint64_t len) NEEDS(&a->lock);

/* ---- refcounts, for callers that do not hold the lock ---------------------- */

/* Reads the refcount of @cluster.  Return: 0; an errno of the file. */
qc_err qc_alloc_refcount(struct qc_alloc *a, uint64_t cluster, uint64_t *count);

/* Changes the refcount of @cluster, which the allocator does not hear of.  Return: as
 * qc_refcounts_set(). */
qc_err qc_alloc_set_refcount(struct qc_alloc *a, uint64_t cluster, uint64_t count);

/* Returns true if refcounts, refcount table entries or pending extents are only in memory. */
bool qc_alloc_is_dirty(struct qc_alloc *a);

/* Writes dirty refcount blocks without a sync, and then takes the table entries of new
 * blocks.  The caller syncs, and passes @update to qc_alloc_write_table_entries(). */
qc_err qc_alloc_write_blocks(struct qc_alloc *a, struct qc_reftable_update *update);

/* Writes the entries in @update if @write.  Otherwise, or on failure, they become dirty
 * again.  Frees @update. */
qc_err qc_alloc_write_table_entries(struct qc_alloc *a, struct qc_reftable_update *update,
				    bool write);

#endif
