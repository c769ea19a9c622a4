/* SPDX-License-Identifier: MIT */
/*
 * reference_count.h - counts the references to every cluster of an image file.
 *
 * Like QEMU's calculate_refcounts().  References come from the L1 and L2 tables of the
 * active disk and of all snapshots, and from all other metadata.  The count is made in
 * windows of clusters, each of which reads all tables again, so memory does not grow with
 * the file.
 *
 * Version 1 has no refcounts, and may have data at any sector.  For it the unit that is
 * called a cluster here is a sector.
 */
#ifndef QC_REFERENCE_COUNT_H
#define QC_REFERENCE_COUNT_H

#include "layer/metadata_walk.h"

enum { QC_REF_WINDOW = 10 << 20 }; /* clusters; 40 MiB of memory */

/* The number of references to a cluster, and flags that tell their kinds. */
#define QC_REF_WRITABLE (UINT32_C(1) << 31)   /* one that permits writing in place */
#define QC_REF_METADATA (UINT32_C(1) << 30)   /* from anything but an L2 entry */
#define QC_REF_GUEST_DATA (UINT32_C(1) << 29) /* from an L2 entry */
#define QC_REF_COMPRESSED (UINT32_C(1) << 28) /* from a compressed L2 entry */
#define QC_REF_ACTIVE (UINT32_C(1) << 27)     /* from an entry of an active L1 or L2 table */
#define QC_REF_ACTIVE_TWICE (UINT32_C(1) << 26)
#define QC_REF_COPIED_LATER (UINT32_C(1) << 25) /* active, and COPIED is set when alone */
#define QC_REF_REFCOUNTS (UINT32_C(1) << 24)  /* from the refcount table, or to it */
#define QC_REF_SEEN (UINT32_C(1) << 23)       /* free for the owner of the count */
#define QC_REF_COUNT_MAX (QC_REF_SEEN - 1)    /* the number stops here */

struct qc_reference_count {
	const struct qc_metadata *md;
	const struct geom *g;
	uint64_t n;	    /* clusters in the file, or as extended */
	uint64_t end;	    /* a reference beyond this host offset is out of range */
	uint64_t first;	    /* of the window */
	unsigned int bits;  /* log2 of the bytes of a cluster */
	bool ignore_damage; /* invalid entries reference nothing, instead of -EIO */
	bool keep_damaged;  /* with ignore_damage: an invalid entry references the cluster that its
			     * offset locates, so that a repair does not free it */
	bool needs_all; /* -EIO if the snapshot table or an L1 table cannot be used, or the bitmap
			 * directory cannot be read: a repair would free all that they reference */
	bool ignore_copied; /* COPIED permits nothing */
	bool exact_end;	    /* a compressed cluster may be out of range, too.  Otherwise its last
			     * sectors are ignored: they may be beyond the end of the file */
	bool out_of_range;  /* found a reference beyond the limit, or more L2 tables than the
			     * file has room for */
	uint64_t l2_tables; /* read so far, in all windows */
	uint32_t *count;    /* of the clusters in the window */
	qc_err (*on_l2_table)(struct qc_reference_count *m); /* after each one; may be NULL */
	/* Before the references of an item are counted; may be NULL. */
	qc_err (*on_item)(struct qc_reference_count *m, struct qc_metadata_item *item);
};

/* Prepares a count for the file as it is now.  Return: 0; -ENOMEM; an errno of the file.
 * To be closed also after a failure.  Until then no other thread may use a writer of @md. */
qc_err qc_reference_count_open(struct qc_reference_count *m, const struct qc_metadata *md);
void qc_reference_count_close(struct qc_reference_count *m);

/* Raises n, and the end, beyond the end of the file.  Return: 0; -ENOMEM. */
qc_err qc_reference_count_extend(struct qc_reference_count *m, uint64_t n);

/* Counts the references to a window of clusters that begins at @first.
 * Return: 0; -EIO a table is damaged, unless ignore_damage; -ENOMEM; an errno of the file;
 *	a result of on_l2_table() or on_item() */
qc_err qc_reference_count_run(struct qc_reference_count *m, uint64_t first);

/* Returns the cluster behind the window: its end, or the end of the file. */
uint64_t qc_reference_count_end(const struct qc_reference_count *m);

/* Returns the number of references to a cluster of the window. */
static inline uint64_t qc_reference_count_of(const struct qc_reference_count *m, uint64_t cluster)
{
	return m->count[cluster - m->first] & QC_REF_COUNT_MAX;
}

/* Returns true if a write through one reference changes what another one sees: one of
 * several references is writable, or the cluster is both metadata and guest data. */
static inline bool qc_reference_conflict(const struct qc_reference_count *m, uint64_t cluster)
{
	uint32_t kinds = m->count[cluster - m->first];

	return (kinds & QC_REF_WRITABLE && qc_reference_count_of(m, cluster) > 1) ||
	       (kinds & QC_REF_METADATA && kinds & QC_REF_GUEST_DATA);
}

/* Returns true if the refcount table or a block shares the cluster with something else. */
static inline bool qc_reference_shares_refcounts(const struct qc_reference_count *m, uint64_t cluster)
{
	return m->count[cluster - m->first] & QC_REF_REFCOUNTS &&
	       qc_reference_count_of(m, cluster) > 1;
}

/* Returns true if several entries of active tables reference a cluster, and COPIED would have
 * to be set in the last one when the others are gone.  No writer looks for that entry. */
static inline bool qc_reference_is_shared(const struct qc_reference_count *m, uint64_t cluster)
{
	uint32_t kinds = m->count[cluster - m->first];

	return kinds & QC_REF_ACTIVE_TWICE && kinds & QC_REF_COPIED_LATER;
}

/* Returns in *tables how many L2 tables one window reads at most.  Return: as
 * qc_metadata_for_each(); -EIO the snapshot table is damaged, unless ignore_damage. */
qc_err qc_reference_l2_tables(const struct qc_reference_count *m, uint64_t *tables);

#endif
