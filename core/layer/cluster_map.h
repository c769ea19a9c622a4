/* SPDX-License-Identifier: MIT */
/*
 * cluster_map.h - guest offset -> what one layer says about it.
 */
#ifndef QC_CLUSTER_MAP_H
#define QC_CLUSTER_MAP_H

#include "format/l2_entry.h"
#include "layer/layer.h"

struct qc_map_extent {
	enum qc_kind kind;
	uint64_t len;
	bool owned;	     /* may be written in place */
	struct hoff host;    /* data: of the first byte; packed: of the cluster */
	uint32_t compressed_len; /* packed: most bytes that it takes */
};

/* An L1 table: that of the disk as it is now, or a snapshot's. */
struct qc_l1_table {
	uint64_t l1_offset;
	uint32_t l1_entries;
};

static inline struct qc_l1_table qc_l1_active(const struct qc_layer *l)
{
	return (struct qc_l1_table){ l->head.geom.l1_offset, l->head.geom.l1_entries };
}

/* The longest run at `at`, at most `max` bytes, of one kind, and for data in
 * one piece of the file.  It need not be maximal: the next call may go on with
 * the same.  at < the layer's size, max > 0.  -EIO if the tables are damaged,
 * which is logged.  Takes no lock unless a table must be read. */
qc_err qc_map_lookup(struct qc_layer *l, struct goff at, uint64_t max,
		     struct qc_map_extent *x);

/* The same through the table of a snapshot, whose flags mean nothing. */
qc_err qc_map_lookup_snapshot(struct qc_layer *l, const struct qc_l1_table *root, struct goff at,
			uint64_t max, struct qc_map_extent *x);

/* As qc_map_lookup, but a run is all owned, or all not. */
qc_err qc_map_lookup_writable(struct qc_layer *l, struct goff at, uint64_t max,
			   struct qc_map_extent *x);

/* ---- for those who change it ---------------------------------------------- */

/* Whether an L2 table there would share bytes with what is something else. */
bool qc_map_overlaps_metadata(const struct qc_layer *l, uint64_t table);

/* The L1 entry for `at`, as it is in the table; and a new one. */
qc_err qc_map_l1_get(struct qc_layer *l, struct goff at, uint64_t *raw);
qc_err qc_map_l1_set(struct qc_layer *l, struct goff at, uint64_t raw);

/* How many clusters from `at` on have their entries in one slice. */
uint64_t qc_map_slice_clusters(const struct qc_layer *l, struct goff at);

/* Entries of an L2 table, n of one slice, as they are there (the second word is
 * 0 but in extended entries). */
qc_err qc_map_l2_get(struct qc_layer *l, struct hoff table, struct goff at, uint64_t n,
		     struct qc_l2_raw *out);
qc_err qc_map_l2_set(struct qc_layer *l, struct hoff table, struct goff at, uint64_t n,
		     const struct qc_l2_raw *words);

#endif
