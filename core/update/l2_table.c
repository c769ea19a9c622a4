/* SPDX-License-Identifier: MIT */
#include "update/l2_table.h"

#include <errno.h>
#include <inttypes.h>

#include "format/l2_entry.h"
#include "layer/cluster_map.h"
#include "base/range.h"
#include "update/abort.h"

static qc_err own_table(struct qc_writer *w, uint64_t bytes, struct hoff *at)
{
	uint64_t want = div_up(bytes, geom_cluster(&w->layer->head.geom)), got;
	bool never_written;
	qc_err r = qc_alloc_clusters(&w->alloc, QC_ALLOC_TABLE, want, at, &got, &never_written);

	if (!r && got < want) { /* version 1 only, and there it cannot be */
		qc_alloc_cancel(&w->alloc, *at, got);
		r = -EIO;
	}
	return r;
}

/* In a copy each entry says whether its cluster is named only there. */
static qc_err fix_copied(struct qc_writer *w, uint8_t *bytes, uint64_t n)
{
	const struct geom *g = &w->layer->head.geom;
	size_t step = (size_t)1 << g->entry_bits;

	for (uint64_t i = 0; i < n; i += step) {
		uint64_t word = be64_at(bytes + i), count = 0;
		struct l2_entry e;
		qc_err r = l2_entry_decode(g, word, step == 16 ? be64_at(bytes + i + 8) : 0, &e);

		if (r || e.kind == QC_COMPRESSED || !e.host.v || g->external)
			continue;
		r = qc_alloc_refcount(&w->alloc, e.host.v >> g->cluster_bits, &count);
		if (r)
			return r;
		be64_to(bytes + i, count == 1 ? word | L2_COPIED : word & ~L2_COPIED);
	}
	return 0;
}

static qc_err copy_table(struct qc_writer *w, struct hoff from, uint8_t *bytes, uint64_t n)
{
	struct qc_layer *l = w->layer;

	for (uint64_t at = 0; at < n; at += l->slice_bytes) {
		struct qc_slice_view v;

		do {
			qc_err r = qc_cache_view(l->tables, from.v + at, &v);

			if (r)
				return r;
			for (uint64_t i = 0; i < l->slice_bytes; i += 8)
				be64_bytes(&v.words[i / 8], bytes + at + i);
		} while (!qc_slice_view_valid(&v));
	}
	return fix_copied(w, bytes, n);
}

/* A new table, with the content of `old` if there is one. */
static qc_err make_table(struct qc_writer *w, struct goff at, struct hoff old,
			 struct hoff *table)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t n = geom_l2_bytes(g);
	AUTO_FREE uint8_t *bytes = calloc(1, n);
	qc_err r = bytes ? own_table(w, n, table) : -ENOMEM;

	if (r)
		return r;
	if (old.v)
		r = copy_table(w, old, bytes, n);
	if (!r)
		r = qc_file_write(w->file, table->v, bytes, n);
	if (!r)
		r = qc_map_l1_set(w->layer, at,
				  g->layout == LAYOUT_V1 ? table->v : table->v | L2_COPIED);
	if (r)
		qc_alloc_cancel(&w->alloc, *table, div_up(n, geom_cluster(g)));
	else if (old.v)
		qc_alloc_defer_free(&w->alloc, old.v, n);
	return r;
}

qc_err qc_writer_l2_table(struct qc_writer *w, struct goff at, struct hoff *table)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t raw;
	qc_err r;

	qc_lock(&w->table_lock);
	r = qc_map_l1_get(w->layer, at, &raw);
	if (!r && (l1_decode(g, raw, table) ||
		   (table->v && qc_map_overlaps_metadata(w->layer, table->v))))
		r = qc_writer_mark_corrupt(w, "the L1 entry for guest offset 0x%" PRIx64
				      " is damaged", at.v);
	if (!r && (!table->v || (g->layout != LAYOUT_V1 && !(raw & L2_COPIED))))
		r = make_table(w, at, *table, table);
	qc_unlock(&w->table_lock);
	return r;
}
