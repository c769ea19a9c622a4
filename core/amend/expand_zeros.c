/* SPDX-License-Identifier: MIT */
#include "amend/expand_zeros.h"

#include <errno.h>
#include <inttypes.h>

#include "format/l2_entry.h"
#include "layer/context_fields.h"
#include "layer/guest_data.h"
#include "layer/metadata_walk.h"
#include "update/checkpoint.h"

struct zero_expansion {
	struct qc_writer *w;
	const struct geom *g;
	uint8_t *zeros;		   /* one cluster; NULL: entries become unallocated */
	uint64_t references;	   /* to the L2 table that is being changed */
	struct qc_free_list unused; /* clusters that the changed table references no more */
	struct qc_free_list added;  /* clusters that it references now, and did not before */
};

/* ---- one entry --------------------------------------------------------------------- */

static qc_err allocate_zero_cluster(struct zero_expansion *z, struct hoff *host)
{
	struct qc_alloc *a = &z->w->alloc;
	uint64_t got;
	bool never_written;
	qc_err r = qc_alloc_clusters(a, QC_ALLOC_DATA, 1, host, &got, &never_written);

	if (r)
		return r;
	r = qc_alloc_set_refcount(a, host->v >> a->cluster_bits, z->references);
	if (r)
		qc_alloc_cancel(a, *host, 1);
	return r ? r : qc_free_list_add(&z->added, a->cluster_bits, host->v, geom_cluster(z->g));
}

/* Returns in *own if no other L2 table references the cluster of the entry. */
static qc_err has_own_cluster(struct zero_expansion *z, const struct l2_entry *e, bool *own)
{
	uint64_t count = 0;
	qc_err r = e->host.v ? qc_alloc_refcount(&z->w->alloc, e->host.v >> z->g->cluster_bits,
						 &count) : 0;

	*own = e->host.v && count == z->references;
	return r;
}

static qc_err unlink_zero_cluster(struct zero_expansion *z, const struct l2_entry *e)
{
	return e->host.v ? qc_free_list_add(&z->unused, z->g->cluster_bits, e->host.v,
					    geom_cluster(z->g)) : 0;
}

/* Makes the entry one of a cluster full of zeros.  An allocated cluster is used again, unless
 * another table may have data in it. */
static qc_err fill_entry(struct zero_expansion *z, struct goff guest, struct l2_entry *e)
{
	bool own;
	qc_err r = has_own_cluster(z, e, &own);

	if (!r && !own) {
		r = unlink_zero_cluster(z, e);
		if (!r)
			r = allocate_zero_cluster(z, &e->host);
	}
	e->kind = QC_DATA;
	return r ? r : qc_guest_data_write(z->w->layer, z->w->data, guest, e->host, z->zeros,
					   geom_cluster(z->g));
}

static qc_err expand_entry(struct zero_expansion *z, struct qc_metadata_item *item, uint64_t i,
			   struct l2_entry *e)
{
	struct goff guest = { item->index * geom_l1_span(z->g) + (i << z->g->cluster_bits) };
	qc_err r;

	if (z->zeros) {
		r = fill_entry(z, guest, e);
		e->copied = !item->in_snapshot && z->references == 1;
	} else {
		r = unlink_zero_cluster(z, e);
		*e = (struct l2_entry){ .kind = QC_UNALLOCATED };
	}
	if (!r)
		l2_entry_put(z->g, item->bytes, i, l2_entry_encode(z->g, e));
	return r;
}

/* ---- one table ----------------------------------------------------------------------- */

/* Changes the entries of the table in memory.  *any: some were zero clusters. */
static qc_err expand_entries(struct zero_expansion *z, struct qc_metadata_item *item, bool *any)
{
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < UINT64_C(1) << z->g->l2_bits; i++) {
		struct l2_entry e;

		r = l2_entry_at(z->g, item->bytes, i, &e);
		if (r)
			return qc_layer_report_damage(z->w->layer, "L2 table at 0x%" PRIx64
						      ": entry %" PRIu64 " is invalid", item->off, i);
		if (e.kind != QC_ZERO)
			continue;
		*any = true;
		r = expand_entry(z, item, i, &e);
	}
	return r;
}

/* Queues as many frees as the table had references to each cluster, and empties the list. */
static void free_list_of_table(struct zero_expansion *z, struct qc_free_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		for (uint64_t k = 0; k < z->references; k++)
			qc_alloc_defer_free(&z->w->alloc, l->extent[i].off, l->extent[i].len);
	l->n = 0;
}

/* Writes the table when its new clusters and their refcounts are durable.  Then its old clusters
 * can be freed: the next checkpoint syncs the table first.  After half a write the table may
 * reference any of them, so all of them stay. */
static qc_err write_expanded_table(struct zero_expansion *z, const struct qc_metadata_item *item)
{
	qc_err r = qc_file_write(z->w->file, item->off, item->bytes, item->len);

	qc_cache_invalidate(z->w->layer->tables, item->off, item->len);
	z->added.n = 0;
	if (!r)
		free_list_of_table(z, &z->unused);
	return r ? r : qc_checkpoint(z->w, true);
}

static qc_err check_expanded_table(struct zero_expansion *z, const struct qc_metadata_item *item)
{
	qc_err r = 0;

	if (!item->invalid)
		r = qc_alloc_refcount(&z->w->alloc, item->off >> z->g->cluster_bits, &z->references);
	if (!r && (item->invalid || !z->references))
		return qc_layer_report_damage(z->w->layer, "L2 table at 0x%" PRIx64 " is damaged",
					      item->off);
	return r;
}

static qc_err expand_table(void *arg, struct qc_metadata_item *item)
{
	struct zero_expansion *z = arg;
	bool any = false;
	qc_err r;

	if (item->kind != QC_METADATA_L2_TABLE)
		return 0;
	r = qc_context_interrupted(z->w->layer->ctx);
	if (!r)
		r = check_expanded_table(z, item);
	if (!r)
		r = expand_entries(z, item, &any);
	if (!r && any)
		r = qc_checkpoint(z->w, false);
	if (!r && any)
		r = write_expanded_table(z, item);
	free_list_of_table(z, &z->added);
	return r;
}

qc_err qc_expand_zeros(struct qc_writer *w, struct qc_reason *why)
{
	struct zero_expansion z = { .w = w, .g = &w->layer->head.geom };
	qc_err r = 0;

	if (w->layer->head.backing_len) {
		z.zeros = calloc(1, geom_cluster(z.g));
		r = z.zeros ? 0 : -ENOMEM;
	}
	if (!r)
		r = qc_metadata_for_each(&w->metadata, QC_WALK_READ_L2, expand_table, &z);
	free(z.zeros);
	qc_free_list_clear(&z.unused);
	qc_free_list_clear(&z.added);
	return r ? qc_fail_errno(why, r, "cannot replace zero clusters") : 0;
}
