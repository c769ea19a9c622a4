/* SPDX-License-Identifier: MIT */
/*
 * map.c - two tables: L1 names L2 tables, L2 names clusters.
 *
 * Both are looked at through views of the cache.  A view may turn out to have
 * changed while it was read; then all that was concluded from it is void, also
 * that an entry is damaged, and we look again.
 */
#include "map.h"

#include <inttypes.h>

#include "range.h"

/* ---- L1 ------------------------------------------------------------------- */

/* The L2 table for `at`, or 0 and how far the L1 table names none. */
static qc_err l1_read(struct qc_layer *l, const struct qc_view *v, uint64_t index,
		      struct goff at, uint64_t max, struct hoff *table, uint64_t *hole)
{
	const struct geom *g = &l->head.geom;
	uint64_t per_slice = l->slice_bytes / 8;
	uint64_t end = min_u64(g->l1_entries, index - index % per_slice + per_slice);
	uint64_t span = geom_l1_span(g);
	qc_err r = l1_decode(g, be64_get(&v->words[index % per_slice]), table);

	if (r || table->v)
		return r;
	*hole = span - (at.v & (span - 1));
	while (*hole < max && ++index < end && !be64_get(&v->words[index % per_slice]))
		*hole += span;
	return 0;
}

/* Whether an L2 table there would share bytes with what is something else. */
static bool overlaps_metadata(const struct qc_layer *l, uint64_t table)
{
	const struct qc_header *h = &l->head;
	const struct geom *g = &h->geom;
	uint64_t n = geom_l2_bytes(g);

	return table < HEAD1_BYTES ||
	       range_overlap(table, n, g->l1_offset, (uint64_t)g->l1_entries * 8) ||
	       range_overlap(table, n, h->reftable_offset, h->reftable_clusters * geom_cluster(g));
}

static qc_err l1_lookup(struct qc_layer *l, struct goff at, uint64_t max,
			struct hoff *table, uint64_t *hole)
{
	const struct geom *g = &l->head.geom;
	uint64_t index = geom_l1_index(g, at), byte = index * 8;
	uint64_t key = g->l1_offset + byte - byte % l->slice_bytes;
	struct qc_view v;
	qc_err r, bad;

	if (index >= g->l1_entries)
		return qc_layer_damaged(l, "no L1 entry for guest offset 0x%" PRIx64, at.v);
	do {
		r = qc_cache_view(l->tables, key, &v);
		if (r)
			return qc_layer_damaged(l, "cannot read the L1 table at 0x%" PRIx64
						" (guest offset 0x%" PRIx64 ")", key, at.v);
		bad = l1_read(l, &v, index, at, max, table, hole);
	} while (!qc_view_valid(&v));
	if (bad || (table->v && overlaps_metadata(l, table->v)))
		return qc_layer_damaged(l, "L1 entry %" PRIu64 " (guest offset 0x%" PRIx64
					") is damaged", index, at.v);
	return 0;
}

/* ---- L2 ------------------------------------------------------------------- */

/* The entry at `index` of the slice; -EIO also where a data file is used in
 * another way than its format allows. */
static qc_err l2_entry(const struct geom *g, const struct qc_view *v, uint64_t index,
		       struct goff at, struct entry *e)
{
	bool extended = g->layout == LAYOUT_V3_EXTENDED;
	const struct be64 *words = v->words + (extended ? 2 * index : index);
	qc_err r = entry_decode(g, be64_get(words), extended ? be64_get(words + 1) : 0, e);

	if (!r && g->external && (e->host.v || e->kind == QC_DATA || e->alloc) &&
	    e->host.v != at.v - geom_in_cluster(g, at))
		return -EIO;
	return r;
}

static void extended_extent(const struct geom *g, const struct entry *e, uint64_t inside,
			    struct qc_map_extent *x)
{
	uint64_t size = geom_subcluster(g);
	unsigned int sub = (unsigned int)(inside / size), end = sub + 1;

	x->kind = subcluster_kind(e, sub);
	while (end < SUBCLUSTERS && subcluster_kind(e, end) == x->kind)
		end++;
	x->len = end * size - inside;
}

/* What the entry says about the rest of its cluster, or the first part of it. */
static void cluster_extent(const struct geom *g, const struct entry *e, struct goff at,
			   struct qc_map_extent *x)
{
	uint64_t inside = geom_in_cluster(g, at);

	*x = (struct qc_map_extent){
		.kind = e->kind,
		.len = geom_cluster(g) - inside,
		.host = e->host,
		.packed_len = e->packed_len,
	};
	if (g->layout == LAYOUT_V3_EXTENDED && e->kind != QC_PACKED)
		extended_extent(g, e, inside, x);
	if (x->kind == QC_DATA)
		x->host.v += inside;
}

static bool continues(const struct qc_map_extent *x, const struct qc_map_extent *next)
{
	if (x->kind != next->kind || x->kind == QC_PACKED)
		return false;
	return x->kind != QC_DATA || x->host.v + x->len == next->host.v;
}

/* The run at entry `index` of a slice of n entries. */
static qc_err l2_run(const struct geom *g, const struct qc_view *v, uint64_t index, uint64_t n,
		     struct goff at, uint64_t max, struct qc_map_extent *x)
{
	struct entry e;
	qc_err r = l2_entry(g, v, index, at, &e);

	if (r)
		return r;
	cluster_extent(g, &e, at, x);
	while (x->len < max && ++index < n) {
		struct goff next = { at.v + x->len };
		struct qc_map_extent y;

		/* Ends it inside a cluster?  And a bad entry is not our business
		 * before somebody asks for it. */
		if (geom_in_cluster(g, next) || l2_entry(g, v, index, next, &e))
			break;
		cluster_extent(g, &e, next, &y);
		if (!continues(x, &y))
			break;
		x->len += y.len;
	}
	return 0;
}

static qc_err l2_lookup(struct qc_layer *l, struct hoff table, struct goff at, uint64_t max,
			struct qc_map_extent *x)
{
	const struct geom *g = &l->head.geom;
	uint64_t per_slice = l->slice_bytes >> g->entry_bits;
	uint64_t index = geom_l2_index(g, at);
	uint64_t key = table.v + (index / per_slice) * l->slice_bytes;
	struct qc_view v;
	qc_err r, bad;

	do {
		r = qc_cache_view(l->tables, key, &v);
		if (r)
			return qc_layer_damaged(l, "cannot read the L2 table at 0x%" PRIx64
						" (guest offset 0x%" PRIx64 ")", table.v, at.v);
		bad = l2_run(g, &v, index % per_slice, per_slice, at, max, x);
	} while (!qc_view_valid(&v));
	if (bad)
		return qc_layer_damaged(l, "L2 entry %" PRIu64 " of the table at 0x%" PRIx64
					" (guest offset 0x%" PRIx64 ") is damaged", index,
					table.v, at.v);
	return 0;
}

/* --------------------------------------------------------------------------- */

static qc_err qcow_lookup(struct qc_layer *l, struct goff at, uint64_t max,
			  struct qc_map_extent *x)
{
	struct hoff table = { 0 };
	uint64_t hole = 0;
	qc_err r = l1_lookup(l, at, max, &table, &hole);

	if (r)
		return r;
	if (table.v)
		return l2_lookup(l, table, at, max, x);
	*x = (struct qc_map_extent){ .kind = QC_ABSENT, .len = hole };
	return 0;
}

qc_err qc_map_lookup(struct qc_layer *l, struct goff at, uint64_t max,
		     struct qc_map_extent *x)
{
	qc_err r = 0;

	if (l->format == QC_FORMAT_RAW)
		*x = (struct qc_map_extent){ .kind = QC_DATA, .len = max, .host = { at.v } };
	else
		r = qcow_lookup(l, at, max, x);
	if (!r)
		x->len = min_u64(x->len, max);
	return r;
}
