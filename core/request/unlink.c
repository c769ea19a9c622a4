/* SPDX-License-Identifier: MIT */
#include "request/unlink.h"

#include <errno.h>
#include <inttypes.h>

#include "base/range.h"
#include "update/abort.h"
#include "update/checkpoint.h"
#include "update/l2_table.h"
#include "update/overlap_check.h"

enum { UNLINK_CLUSTERS_MAX = 128 }; /* changed in one go */

/* Returns the clusters from @at on that have their entries in one slice, at most the
 * number that fits the arrays here. */
static uint64_t unlink_step(const struct qc_layer *l, struct goff at)
{
	return min_u64(qc_map_slice_clusters(l, at), UNLINK_CLUSTERS_MAX);
}

void qc_unlink_defer_free(struct qc_writer *w, const struct l2_entry *e)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t len = e->kind == QC_COMPRESSED ? e->compressed_len : geom_cluster(g);

	if (g->external || (e->kind != QC_COMPRESSED && !e->host.v))
		return;
	if (qc_overlap_may_free(w, e->host, len))
		qc_alloc_defer_free(&w->alloc, e->host.v, len);
}

/* Queues the clusters of n entries to be freed.  Clusters of invalid entries leak. */
static void defer_free_entries(struct qc_writer *w, const struct qc_l2_raw *raw, uint64_t n)
{
	const struct geom *g = &w->layer->head.geom;
	struct l2_entry e;

	for (uint64_t k = 0; k < n; k++)
		if (!l2_entry_decode(g, raw[k].word, raw[k].bits, &e))
			qc_unlink_defer_free(w, &e);
}

/* ---- part of a table ------------------------------------------------------ */

static bool slice_is_empty(const struct qc_l2_raw *raw, uint64_t n)
{
	for (uint64_t k = 0; k < n; k++)
		if (raw[k].word || raw[k].bits)
			return false;
	return true;
}

struct unlink_attempt {
	struct qc_writer *w;
	struct hoff table;
	struct goff at;
	uint64_t n; /* entries */
};

static qc_err try_l2_table(void *arg)
{
	struct unlink_attempt *a = arg;

	return qc_writer_l2_table(a->w, a->at, &a->table);
}

/* Clears entries of one slice.  An empty slice is skipped: it need not become dirty. */
static qc_err try_clear_l2_slice(void *arg)
{
	const struct unlink_attempt *a = arg;
	struct qc_l2_raw old[UNLINK_CLUSTERS_MAX], none[UNLINK_CLUSTERS_MAX] = { { 0 } };
	qc_err r = qc_map_l2_get(a->w->layer, a->table, a->at, a->n, old);

	if (r || slice_is_empty(old, a->n))
		return r;
	r = qc_map_l2_set(a->w->layer, a->table, a->at, a->n, none, QC_MAP_UNLINKS);
	if (!r)
		defer_free_entries(a->w, old, a->n);
	return r;
}

qc_err qc_unlink_rest_of_l2_table(struct qc_writer *w, struct goff at)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t span = geom_l1_span(g), end = at.v - at.v % span + span, raw;
	struct unlink_attempt a = { .w = w, .at = at };
	qc_err r = qc_map_l1_get(w->layer, at, &raw);

	if (r || !raw)
		return r;
	r = qc_with_checkpoints(w, try_l2_table, &a);
	while (!r && a.at.v < end) {
		a.n = unlink_step(w->layer, a.at);
		r = qc_with_checkpoints(w, try_clear_l2_slice, &a);
		a.at.v += a.n * geom_cluster(g);
	}
	return r;
}

/* ---- a whole table -------------------------------------------------------- */

/* Queues an unlinked table, and the clusters of all its entries, to be freed.  A table
 * that a snapshot shares has a reference less then, and so have its clusters. */
static qc_err defer_free_table(struct qc_writer *w, struct hoff table, struct goff at)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t end = at.v + geom_l1_span(g);
	qc_err r = 0;

	for (uint64_t n; !r && at.v < end; at.v += n * geom_cluster(g)) {
		struct qc_l2_raw raw[UNLINK_CLUSTERS_MAX];

		n = unlink_step(w->layer, at);
		r = qc_map_l2_get(w->layer, table, at, n, raw);
		if (!r)
			defer_free_entries(w, raw, n);
	}
	qc_alloc_defer_free(&w->alloc, table.v, geom_l2_bytes(g));
	return r;
}

static qc_err try_clear_l1_entry(void *arg)
{
	const struct unlink_attempt *a = arg;

	return qc_map_l1_set(a->w->layer, a->at, 0);
}

qc_err qc_unlink_l2_table(struct qc_writer *w, struct goff at)
{
	const struct geom *g = &w->layer->head.geom;
	struct goff first = { at.v - at.v % geom_l1_span(g) };
	struct unlink_attempt a = { .w = w, .at = at };
	uint64_t raw;
	qc_err r = qc_map_l1_get(w->layer, at, &raw);

	if (r || !raw)
		return r;
	if (l1_decode(g, raw, &a.table) || qc_map_overlaps_metadata(w->layer, a.table.v))
		return qc_writer_mark_corrupt(w, "the L1 entry for guest offset 0x%" PRIx64
					 " is damaged", at.v);
	r = qc_with_checkpoints(w, try_clear_l1_entry, &a);
	return r ? r : defer_free_table(w, a.table, first);
}
