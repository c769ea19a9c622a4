/* SPDX-License-Identifier: MIT */
/*
 * resize.c - another size for the disk.
 *
 * The gate is closed meanwhile: tables move.  What is cut off is made to read
 * as zeros first, and so is what comes to light when the disk grows: the rest
 * of its last cluster, VM state behind its end, and a backing file that is
 * longer than the disk was.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "request/request.h"
#include "update/checkpoint.h"
#include "update/l2_table.h"

enum { DROP_CLUSTERS = 128 };

static qc_err write_size(struct qc_writer *w, uint64_t size)
{
	uint8_t raw[8];
	qc_err r;

	be64_to(raw, size);
	r = qc_writer_update_header(w, HEAD_SIZE, raw, sizeof(raw));
	if (!r)
		atomic_store(&w->layer->size, size);
	if (!r)
		w->layer->head.size = size;
	return r;
}

/* ---- the L1 table --------------------------------------------------------- */

/* One write tells of both; version 1 counts the entries by the size. */
static qc_err write_l1_place(struct qc_writer *w, struct hoff to, uint64_t entries)
{
	bool v1 = w->layer->head.version == 1;
	uint8_t head[12];

	be32_to(head, (uint32_t)entries);
	be64_to(head + 4, to.v);
	return v1 ? qc_writer_update_header(w, HEAD_L1_OFFSET, head + 4, 8) :
		    qc_writer_update_header(w, HEAD_L1_ENTRIES, head, sizeof(head));
}

/* Copies the table to a place with room for `entries`, and switches to it. */
static qc_err move_l1(struct qc_writer *w, uint64_t entries)
{
	struct geom *g = &w->layer->head.geom;
	uint64_t old = (uint64_t)g->l1_entries * 8, cs = geom_cluster(g);
	uint64_t bytes = round_up(entries * 8, cs);
	AUTO_FREE uint8_t *l1 = calloc(1, bytes);
	struct hoff to;
	size_t got;
	qc_err r = l1 && entries <= L1_ENTRIES_MAX ? 0 : l1 ? -EFBIG : -ENOMEM;

	if (!r) /* what was changed in memory comes along */
		r = qc_checkpoint(w, false);
	if (!r)
		r = old ? qc_file_read(w->file, g->l1_offset, l1, old, &got) : 0;
	if (!r)
		r = qc_alloc_contiguous(&w->alloc, bytes / cs, &to);
	if (r)
		return r;
	r = qc_file_write(w->file, to.v, l1, bytes);
	if (!r)
		r = qc_checkpoint(w, false); /* its count is there before its name */
	if (r) {
		qc_alloc_cancel(&w->alloc, to, bytes / cs);
		return r;
	}
	r = write_l1_place(w, to, entries);
	if (r && !w->aborted) /* else the file may name it already, and it leaks */
		qc_alloc_cancel(&w->alloc, to, bytes / cs);
	if (r)
		return r;
	qc_cache_invalidate(w->layer->tables, g->l1_offset, old);
	if (old && g->layout != LAYOUT_V1)
		qc_alloc_defer_free(&w->alloc, g->l1_offset, round_up(old, cs));
	g->l1_offset = to.v;
	g->l1_entries = (uint32_t)entries;
	return 0;
}

/* ---- what lies behind the end --------------------------------------------- */

static bool is_empty(const struct qc_l2_raw *words, uint64_t n)
{
	for (uint64_t k = 0; k < n; k++)
		if (words[k].word || words[k].bits)
			return false;
	return true;
}

/* One step of a resize that may need a checkpoint first. */
struct resize_attempt {
	struct qc_writer *w;
	struct goff at;
	uint64_t n;
	struct hoff table;
};

static qc_err attempt_l2_table(void *arg)
{
	struct resize_attempt *a = arg;

	return qc_writer_l2_table(a->w, a->at, &a->table);
}

/* Clusters of one slice name nothing any more.  A slice that did not before is
 * left alone, so that who comes again for want of memory gets further. */
static qc_err drop_slice(struct qc_writer *w, struct hoff table, struct goff at, uint64_t n)
{
	const struct geom *g = &w->layer->head.geom;
	struct qc_l2_raw old[DROP_CLUSTERS], none[DROP_CLUSTERS] = { { 0 } };
	qc_err r = qc_map_l2_get(w->layer, table, at, n, old);

	if (r || is_empty(old, n))
		return r;
	r = qc_map_l2_set(w->layer, table, at, n, none);
	for (uint64_t k = 0; !r && k < n; k++) {
		struct l2_entry e;

		if (!l2_entry_decode(g, old[k].word, old[k].bits, &e))
			qc_defer_free_entry(w, &e);
	}
	return r;
}

static qc_err attempt_drop_slice(void *arg)
{
	struct resize_attempt *a = arg;

	return drop_slice(a->w, a->table, a->at, a->n);
}

/* The clusters from `at` to the end of its table. */
static qc_err drop_entries(struct qc_writer *w, struct goff at)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t span = geom_l1_span(g), end = at.v - at.v % span + span, raw;
	struct resize_attempt a = { .w = w, .at = at };
	qc_err r = qc_map_l1_get(w->layer, at, &raw);

	if (r || !raw)
		return r;
	r = qc_with_checkpoints(w, attempt_l2_table, &a);
	while (!r && a.at.v < end) {
		a.n = min_u64(qc_map_slice_clusters(w->layer, a.at), DROP_CLUSTERS);
		r = qc_with_checkpoints(w, attempt_drop_slice, &a);
		a.at.v += a.n * geom_cluster(g);
	}
	return r;
}

static qc_err drop_table(struct qc_writer *w, struct goff at)
{
	struct geom *g = &w->layer->head.geom;
	struct hoff table;
	uint64_t raw;
	qc_err r = qc_map_l1_get(w->layer, at, &raw);

	if (r || !raw || l1_decode(g, raw, &table))
		return r;
	r = drop_entries(w, at); /* this may have moved it */
	if (!r)
		r = qc_map_l1_get(w->layer, at, &raw);
	if (!r)
		r = l1_decode(g, raw, &table);
	if (!r)
		r = qc_map_l1_set(w->layer, at, 0);
	if (!r)
		qc_alloc_defer_free(&w->alloc, table.v, geom_l2_bytes(g));
	return r;
}

static qc_err attempt_drop_table(void *arg)
{
	struct resize_attempt *a = arg;

	return drop_table(a->w, a->at);
}

/* All tables behind the end: VM state, or what a crash left of a shrink. */
static qc_err drop_tables(struct qc_writer *w, uint64_t size)
{
	struct geom *g = &w->layer->head.geom;
	qc_err r = 0;

	for (uint64_t i = geom_l1_need(g, size); !r && i < g->l1_entries; i++) {
		struct resize_attempt a = { .w = w, .at = { i * geom_l1_span(g) } };

		r = qc_with_checkpoints(w, attempt_drop_table, &a);
	}
	return r;
}

/* All that is named behind the end. */
static qc_err drop_behind(struct qc_writer *w, uint64_t size)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t end = round_up(size, geom_cluster(g));
	qc_err r = 0;

	if (geom_l1_need(g, end) * geom_l1_span(g) > end)
		r = drop_entries(w, (struct goff){ end });
	return r ? r : drop_tables(w, size);
}

/* ---- shrink and grow ------------------------------------------------------ */

/* The size first: what then is behind the end is nobody's. */
static qc_err shrink(struct qc_image *img, uint64_t size)
{
	struct qc_writer *w = img->layer[0]->writer;
	qc_err r = qc_checkpoint(w, false);

	if (!r)
		r = write_size(w, size);
	if (!r)
		r = drop_behind(w, size);
	return r ? r : qc_checkpoint(w, true);
}

static uint64_t backing_size(const struct qc_image *img)
{
	return img->depth > 1 ? img->layer[1]->size : 0;
}

/* The rest of the last cluster must read as zeros. */
static qc_err clear_tail(struct qc_image *img, uint64_t old, uint64_t end)
{
	struct qc_layer *l = img->layer[0];
	AUTO_FREE uint8_t *zeros = calloc(1, end - old + 1);
	struct qc_map_extent x;
	qc_err r = 0;

	if (!zeros)
		return -ENOMEM;
	while (!r && old < end) {
		r = qc_map_lookup(l, (struct goff){ old }, end - old, &x);
		if (!r && (x.kind == QC_DATA || x.kind == QC_COMPRESSED ||
			   (x.kind == QC_UNALLOCATED && old < backing_size(img))))
			r = qc_write_inflight(img, old, zeros, x.len);
		old += r ? 0 : x.len;
	}
	return r;
}

static qc_err grow(struct qc_image *img, uint64_t size)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	const struct geom *g = &l->head.geom;
	uint64_t old = l->size, end = min_u64(round_up(old, geom_cluster(g)), size);
	uint64_t shows = min_u64(backing_size(img), size);
	qc_err r = 0;

	if (shows > old && (g->layout == LAYOUT_V1 || g->layout == LAYOUT_V2)) {
		qc_log(&l->ctx->log, QC_LOG_ERROR,
		       "%s: it cannot grow: its backing file is longer, and this version of "
		       "the format cannot say that the rest is zeros", l->path);
		return -EOPNOTSUPP;
	}
	r = drop_behind(w, old); /* a crash may have left it of a shrink */
	if (!r && geom_l1_need(g, size) > g->l1_entries)
		r = move_l1(w, geom_l1_need(g, size));
	if (!r)
		r = clear_tail(img, old, end);
	if (!r && shows > end)
		r = qc_write_zeroes_inflight(img, end, round_up(shows, geom_cluster(g)) - end, false);
	if (!r)
		r = qc_checkpoint(w, false);
	if (!r)
		r = write_size(w, size);
	return r ? r : qc_checkpoint(w, true);
}

static qc_err check_resize(struct qc_layer *l, uint64_t size)
{
	if (size > INT64_MAX || size % SECTOR || (l->head.version == 1 && size < 2))
		return -EINVAL;
	if (geom_l1_need(&l->head.geom, size) > L1_ENTRIES_MAX)
		return -EFBIG;
	if (l->head.version == 2 && l->head.snapshots) {
		qc_log(&l->ctx->log, QC_LOG_ERROR,
		       "%s: it cannot be resized: it has snapshots, which in version 2 do not "
		       "note their size", l->path);
		return -EOPNOTSUPP;
	}
	return 0;
}

qc_err qc_resize(struct qc_image *img, uint64_t size)
{
	struct qc_layer *l = img->layer[0];
	uint64_t old;
	qc_err r;

	if (!img->writable)
		return -EROFS;
	r = check_resize(l, size);
	if (r)
		return r;
	qc_lock(&l->writer->resize_lock);
	qc_drain_begin(&l->inflight);
	old = l->size;
	r = qc_writer_prepare(l->writer);
	if (!r && size < l->size)
		r = shrink(img, size);
	else if (!r && size > l->size)
		r = grow(img, size);
	if (!r && l->data != l->file)
		r = qc_file_resize(l->writer->data, size);
	qc_writer_range_changed(l->writer, min_u64(old, size), max_u64(old, size) - min_u64(old, size));
	qc_drain_end(&l->inflight);
	qc_unlock(&l->writer->resize_lock);
	return qc_no_outcome(r);
}
