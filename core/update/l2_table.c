/* SPDX-License-Identifier: MIT */
#include "update/l2_table.h"

#include <errno.h>
#include <inttypes.h>

#include "format/l2_entry.h"
#include "layer/metadata_walk.h"
#include "base/range.h"
#include "update/abort.h"

static qc_err allocate_l2_table(struct qc_writer *w, uint64_t bytes, struct hoff *at)
{
	uint64_t want = div_up(bytes, geom_cluster(&w->layer->head.geom)), got;
	bool never_written;
	qc_err r = qc_alloc_clusters(&w->alloc, QC_ALLOC_TABLE, want, at, &got, &never_written);

	/* Only version 1 has L2 tables of several clusters, and there the file just grows. */
	if (!r && got < want) {
		qc_alloc_cancel(&w->alloc, *at, got);
		r = -EIO;
	}
	return r;
}

/* Copies an L2 table that a snapshot shares.  Sets COPIED by the refcounts, since the flags of
 * a shared table mean nothing.  Takes the lock for one slice at a time. */
static qc_err copy_l2_table(struct qc_writer *w, struct hoff from, uint8_t *table, uint64_t bytes)
{
	const struct qc_metadata *md = &w->metadata;
	unsigned int entry_bits = md->head->geom.entry_bits;
	uint64_t slice = w->layer->slice_bytes, changed = 0;
	qc_err r = qc_metadata_copy_table(md, from.v, table, bytes);

	for (uint64_t at = 0; !r && at < bytes; at += slice) {
		qc_metadata_lock(md);
		r = qc_metadata_fix_copied(md, table, at >> entry_bits, slice >> entry_bits, true,
					   &changed);
		qc_metadata_unlock(md);
	}
	return r;
}

/* Makes a new L2 table, with the entries of `old` unless that is 0.  The table is written to
 * the file before the L1 entry changes in memory. */
static qc_err make_l2_table(struct qc_writer *w, struct goff at, struct hoff old,
			    struct hoff *table)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t n = geom_l2_bytes(g);
	AUTO_FREE uint8_t *bytes = calloc(1, n);
	qc_err r = bytes ? allocate_l2_table(w, n, table) : -ENOMEM;

	if (r)
		return r;
	if (old.v)
		r = copy_l2_table(w, old, bytes, n);
	if (!r)
		r = qc_file_write(w->file, table->v, bytes, n);
	if (!r)
		r = qc_map_l1_set(w->layer, at, l1_encode(g, *table, true));
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
	if (!r && (!table->v || !l1_is_writable(g, raw)))
		r = make_l2_table(w, at, *table, table);
	qc_unlock(&w->table_lock);
	return r;
}
