/* SPDX-License-Identifier: MIT */
/*
 * cluster_map.h - maps guest offsets of one layer by its L1 and L2 tables.
 *
 * Called by the chain walk, and by all that change tables.
 */
#ifndef QC_CLUSTER_MAP_H
#define QC_CLUSTER_MAP_H

#include "format/l2_entry.h"
#include "layer/layer.h"

/* Why the tables do not map an extent. */
enum qc_damage {
	QC_DAMAGE_NO_L1_ENTRY,	 /* the L1 table is too short */
	QC_DAMAGE_L1_UNREADABLE, /* a slice of the L1 table cannot be read */
	QC_DAMAGE_L1_ENTRY,	 /* the L1 entry is invalid */
	QC_DAMAGE_L2_UNREADABLE, /* a slice of the L2 table cannot be read */
	QC_DAMAGE_L2_ENTRY,	 /* the L2 entry is invalid */
};

struct qc_map_extent {
	enum qc_kind kind;
	uint64_t len;
	bool writable_in_place;	 /* the refcount is 1 */
	bool has_host;		 /* of qc_map_lookup_exact(): `host` is that of the first byte */
	struct hoff host;	 /* of the first byte; compressed: of the compressed data;
				  * damaged: of the slice or L2 table, or 0 */
	enum qc_damage damage;	 /* damaged: why */
	uint32_t compressed_len; /* the compressed data is at most this long */
};

/* The L1 table of the active disk, or of a snapshot. */
struct qc_l1_table {
	uint64_t l1_offset;
	uint32_t l1_entries;
	uint64_t l2_offset; /* not 0: instead of an L1 table with one entry, the L2 table that it
			     * would reference */
};

static inline struct qc_l1_table qc_l1_active(const struct qc_layer *l)
{
	const struct geom *g = &l->head.geom;

	return (struct qc_l1_table){ .l1_offset = g->l1_offset, .l1_entries = g->l1_entries };
}

/*
 * qc_map_lookup() - map the extent at a guest offset
 * @at:   below the size of the layer
 * @max:  more than 0
 * @x:    out: up to @max bytes of one kind; data is contiguous in the file
 *
 * The next call may return an extent that continues this one.  Damage is an extent of the
 * kind QC_DAMAGED, as long as the damage is known to reach: a reader can go on behind it.
 * It is not logged.
 * Context: takes no lock, unless a table must be read.
 * Return: 0; -ENOMEM
 */
qc_err qc_map_lookup(struct qc_layer *l, struct goff at, uint64_t max,
		     struct qc_map_extent *x);

/* The same through the L1 table of a snapshot.  x->writable_in_place has no meaning: COPIED is
 * stale in tables of a snapshot. */
qc_err qc_map_lookup_snapshot(struct qc_layer *l, const struct qc_l1_table *root, struct goff at,
			uint64_t max, struct qc_map_extent *x);

/* Like qc_map_lookup(), but x->writable_in_place is the same for all of the extent. */
qc_err qc_map_lookup_writable(struct qc_layer *l, struct goff at, uint64_t max,
			   struct qc_map_extent *x);

/*
 * qc_map_lookup_exact() - map an extent with the host clusters of zeros
 * @root:  the L1 table of a snapshot; NULL: the active one
 *
 * Like qc_map_lookup(), but all of the extent has host clusters or none has.  x->host is also
 * that of clusters which read as zeros, and of unallocated subclusters, and all is contiguous.
 */
qc_err qc_map_lookup_exact(struct qc_layer *l, const struct qc_l1_table *root, struct goff at,
			   uint64_t max, struct qc_map_extent *x);

/* Logs a damaged extent at @at.  Return: -EIO. */
qc_err qc_map_report_damage(struct qc_layer *l, struct goff at, const struct qc_map_extent *x);

/* Returns true if the extent is damaged since an entry is invalid: then the image is corrupt,
 * and must not be written to.  Otherwise the file may be readable again later. */
static inline bool qc_map_is_corrupt(const struct qc_map_extent *x)
{
	return x->kind == QC_DAMAGED &&
	       (x->damage == QC_DAMAGE_L1_ENTRY || x->damage == QC_DAMAGE_L2_ENTRY);
}

/* ---- for changes ------------------------------------------------------------ */

/* Tells qc_layout_version() that the layer maps its disk in another way.  For a caller that
 * replaces the L1 table. */
static inline void qc_map_raise_version(struct qc_layer *l)
{
	atomic_fetch_add(&l->map_version, 1);
}

/* Returns true if an L2 table at this host offset would overlap the header or another table of
 * the header. */
bool qc_map_overlaps_metadata(const struct qc_layer *l, uint64_t table);

/* Reads or writes the L1 entry of a guest offset, undecoded.  Return: 0; QC_RETRY_CHECKPOINT
 * (set only) no slot; an errno of the file. */
qc_err qc_map_l1_get(struct qc_layer *l, struct goff at, uint64_t *raw);
qc_err qc_map_l1_set(struct qc_layer *l, struct goff at, uint64_t raw);

/* Returns the number of clusters from @at on whose L2 entries are in one slice. */
uint64_t qc_map_slice_clusters(const struct qc_layer *l, struct goff at);

/* Says in which order a change of L2 entries must reach the file. */
enum qc_map_links {
	QC_MAP_NEW_LINKS, /* refcounts and data of the clusters must be in the file before */
	QC_MAP_UNLINKS,	  /* no entry references more than it did before: in any order */
};

/* Reads or writes @n L2 entries of one slice, undecoded.  A writer holds a range lock on
 * their clusters, or runs in a drained section.  Return: as qc_map_l1_get() and
 * qc_map_l1_set(). */
qc_err qc_map_l2_get(struct qc_layer *l, struct hoff table, struct goff at, uint64_t n,
		     struct qc_l2_raw *out);
qc_err qc_map_l2_set(struct qc_layer *l, struct hoff table, struct goff at, uint64_t n,
		     const struct qc_l2_raw *words, enum qc_map_links links);

#endif
