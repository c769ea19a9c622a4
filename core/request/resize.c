/* SPDX-License-Identifier: MIT */
/*
 * resize.c - change the size of a disk.
 *
 * A resize runs in a drained section, since the L1 table may move, and since a request in
 * flight must not see its clusters go.  Clusters behind the end are unlinked, and a range
 * that appears when the disk grows reads as zeros.  That range is the rest of the last
 * cluster, VM state behind the end of the disk, and a longer backing file.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "image/gather.h"
#include "request/request.h"
#include "request/unlink.h"
#include "update/checkpoint.h"

static qc_err write_disk_size(struct qc_writer *w, uint64_t size)
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

/* Writes offset and length of the L1 table to the header, at once.  Version 1 has no
 * length: it follows from the size of the disk. */
static qc_err write_l1_location(struct qc_writer *w, struct hoff to, uint64_t entries)
{
	bool v1 = w->layer->head.version == 1;
	uint8_t head[12];

	be32_to(head, (uint32_t)entries);
	be64_to(head + 4, to.v);
	return v1 ? qc_writer_update_header(w, HEAD_L1_OFFSET, head + 4, 8) :
		    qc_writer_update_header(w, HEAD_L1_ENTRIES, head, sizeof(head));
}

/* Writes a copy of the table to @to, and makes its refcounts durable.  The caller has
 * made a checkpoint: the table in the file is the one in memory. */
static qc_err copy_l1_table(struct qc_writer *w, struct hoff to, uint64_t bytes)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t old = (uint64_t)g->l1_entries * 8;
	AUTO_FREE uint8_t *l1 = calloc(1, bytes);
	size_t got;
	qc_err r = l1 ? 0 : -ENOMEM;

	if (!r && old)
		r = qc_file_read(w->file, g->l1_offset, l1, old, &got);
	if (!r)
		r = qc_file_write(w->file, to.v, l1, bytes);
	return r ? r : qc_checkpoint(w, false);
}

/* Returns the entries of an L1 table that fills its clusters, twice as many as now at least: a disk
 * that grows step by step needs few of them. */
static uint64_t roomy_l1_entries(const struct geom *g, uint64_t need)
{
	uint64_t entries = max_u64(need, 2 * (uint64_t)g->l1_entries);

	return min_u64(round_up(entries * 8, geom_cluster(g)) / 8, L1_ENTRIES_MAX);
}

/* Moves the L1 table to clusters with room for @entries. */
static qc_err move_l1_table(struct qc_writer *w, uint64_t entries)
{
	struct geom *g = &w->layer->head.geom;
	uint64_t old = (uint64_t)g->l1_entries * 8, cs = geom_cluster(g);
	uint64_t bytes = round_up(entries * 8, cs);
	struct hoff to;
	qc_err r = entries <= L1_ENTRIES_MAX ? qc_checkpoint(w, false) : -EFBIG;

	if (!r)
		r = qc_alloc_contiguous(&w->alloc, bytes / cs, &to);
	if (r)
		return r;
	r = copy_l1_table(w, to, bytes);
	if (!r)
		r = write_l1_location(w, to, entries);
	if (r && !w->aborted) /* else the header may reference them, and they leak */
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

/* ---- shrink and grow ------------------------------------------------------ */

/* Unlinks all clusters behind @size: guest data that a shrink cuts off, VM state, or the
 * remains of a shrink that a crash has interrupted. */
static qc_err unlink_behind(struct qc_writer *w, uint64_t size)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t end = round_up(size, geom_cluster(g));
	qc_err r = 0;

	if (geom_l1_need(g, end) * geom_l1_span(g) > end)
		r = qc_unlink_rest_of_l2_table(w, (struct goff){ end });
	for (uint64_t i = geom_l1_need(g, size); !r && i < g->l1_entries; i++)
		r = qc_unlink_l2_table(w, (struct goff){ i * geom_l1_span(g) });
	return r;
}

/* Shrinks the disk.  The size is written first.  After a crash the clusters behind it are
 * still linked and counted, and the next resize unlinks them. */
static qc_err shrink_disk(struct qc_image *img, uint64_t size)
{
	struct qc_writer *w = img->layer[0]->writer;
	qc_err r = qc_checkpoint(w, false);

	w->zeros_behind = false;
	if (!r)
		r = write_disk_size(w, size);
	if (!r)
		r = unlink_behind(w, size);
	return r ? r : qc_checkpoint(w, true);
}

static uint64_t backing_disk_size(const struct qc_image *img)
{
	return img->depth > 1 ? img->layer[1]->size : 0;
}

/* Writes zeros to [old, end), the rest of the last cluster, where it has other bytes. */
static qc_err zero_last_cluster(struct qc_image *img, uint64_t old, uint64_t end)
{
	struct qc_layer *l = img->layer[0];
	AUTO_FREE uint8_t *zeros = calloc(1, end - old + 1);
	struct qc_map_extent x;
	qc_err r = 0;

	if (!zeros)
		return -ENOMEM;
	while (!r && old < end) {
		r = qc_map_lookup(l, (struct goff){ old }, end - old, &x);
		if (!r && x.kind != QC_ZERO &&
		    (x.kind != QC_UNALLOCATED || old < backing_disk_size(img)))
			r = qc_write_inflight(img, old, zeros, x.len);
		old += r ? 0 : x.len;
	}
	return r;
}

/* Versions 1 and 2 have no zero clusters, which a grown disk would need where its backing
 * file is longer. */
static qc_err check_backing_size(const struct qc_image *img, uint64_t size)
{
	struct qc_layer *l = img->layer[0];
	enum qc_layout layout = l->head.geom.layout;

	if (min_u64(backing_disk_size(img), size) <= l->size ||
	    (layout != LAYOUT_V1 && layout != LAYOUT_V2))
		return 0;
	qc_log(&l->ctx->log, QC_LOG_ERROR,
	       "%s: cannot grow: its backing file is longer, and version %u of the format has no "
	       "zero clusters to hide that", l->path, l->head.version);
	return -EOPNOTSUPP;
}

/* Grows the disk.  The size is written last, when the new range reads as zeros.  @by_steps: more
 * steps will follow. */
static qc_err grow_disk(struct qc_image *img, uint64_t size, bool by_steps)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	const struct geom *g = &l->head.geom;
	uint64_t old = l->size, cluster_end = round_up(old, geom_cluster(g));
	uint64_t end = min_u64(cluster_end, size), need = geom_l1_need(g, size);
	uint64_t shows = min_u64(backing_disk_size(img), size);
	qc_err r = check_backing_size(img, size);

	if (!r)
		r = unlink_behind(w, old);
	if (!r && need > g->l1_entries)
		r = move_l1_table(w, by_steps ? roomy_l1_entries(g, need) : need);
	if (!r) /* the next step does not look at the rest of this cluster again */
		r = zero_last_cluster(img, old, by_steps ? cluster_end : end);
	if (!r && shows > end)
		r = qc_write_zeroes_inflight(img, end, round_up(shows, geom_cluster(g)) - end,
					     false);
	if (!r)
		r = qc_checkpoint(w, false);
	if (!r)
		r = write_disk_size(w, size);
	return r ? r : qc_checkpoint(w, true);
}

static qc_err check_new_size(struct qc_layer *l, uint64_t size)
{
	if (size > INT64_MAX || size % SECTOR || (l->head.version == 1 && size < 2))
		return -EINVAL;
	if (geom_l1_need(&l->head.geom, size) > L1_ENTRIES_MAX)
		return -EFBIG;
	if (l->head.version == 2 && l->head.snapshots) {
		qc_log(&l->ctx->log, QC_LOG_ERROR,
		       "%s: cannot resize: it has snapshots, and in version 2 of the format these "
		       "do not have a size of their own (delete them first)", l->path);
		return -EOPNOTSUPP;
	}
	return 0;
}

/* Resizes the disk of both files.  @by_steps: as for grow_disk(). */
static qc_err resize_disk(struct qc_image *img, uint64_t size, bool by_steps)
{
	struct qc_layer *l = img->layer[0];
	qc_err r = check_new_size(l, size);

	if (!r)
		r = qc_writer_prepare(l->writer);
	if (!r)
		r = qc_writer_client_before_resize(l->writer);
	if (r)
		return r;
	r = size < l->size ? shrink_disk(img, size) : grow_disk(img, size, by_steps);
	if (!r && l->data != l->file)
		r = qc_file_resize(l->writer->data, size);
	return r;
}

/* Returns true if the disk can grow in memory: no other file and no client of the writer has to
 * know. */
static bool grows_in_memory(const struct qc_image *img)
{
	const struct qc_layer *l = img->layer[0];

	return img->depth == 1 && l->data == l->file && l->head.version > 1 &&
	       !(l->head.version == 2 && l->head.snapshots) && !l->writer->clients.any_for_ranges;
}

/* Resizes the disk in a drained section, and tells the clients of the writer.  @by_steps: as for
 * grow_disk(); the disk does not shrink. */
static qc_err resize_drained(struct qc_image *img, uint64_t size, bool by_steps)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	uint64_t old;
	qc_err r = 0;

	qc_gather_block(img);
	qc_lock(&w->resize_lock);
	qc_drain_begin(&l->inflight);
	old = l->size;
	if (by_steps ? size > old : size != old) {
		r = resize_disk(img, size, by_steps);
		if (l->size != old)
			qc_writer_client_resized(w);
		if (!r && by_steps)
			w->zeros_behind = grows_in_memory(img);
		/* After a failure, too: the bytes may have come or gone. */
		qc_writer_range_changed(w, min_u64(old, size),
					max_u64(old, size) - min_u64(old, size));
	}
	qc_drain_end(&l->inflight);
	qc_unlock(&w->resize_lock);
	qc_gather_unblock(img);
	return r;
}

qc_err qc_resize(struct qc_image *img, uint64_t size)
{
	return img->writable ? qc_no_outcome(resize_drained(img, size, false)) : -EROFS;
}

/* ---- grow step by step ---------------------------------------------------- */

/* Grows the disk in memory.  *done: false where the L1 table is too small, or where bytes behind
 * the end may not be zeros. */
static qc_err grow_in_memory(struct qc_image *img, uint64_t size, bool *done)
{
	struct qc_layer *l = img->layer[0];
	struct qc_inflight_token token = qc_inflight_begin(&l->inflight);
	qc_err r = 0;

	*done = size <= l->size;
	if (!*done && l->writer->zeros_behind && size % SECTOR == 0 &&
	    geom_l1_need(&l->head.geom, size) <= l->head.geom.l1_entries && grows_in_memory(img)) {
		r = qc_writer_prepare(l->writer);
		if (!r)
			qc_writer_grow_size(l->writer, size);
		*done = true;
	}
	qc_inflight_end(&l->inflight, token);
	return r;
}

qc_err qc_grow(struct qc_image *img, uint64_t size)
{
	bool done;
	qc_err r;

	if (!img->writable)
		return -EROFS;
	r = grow_in_memory(img, size, &done);
	return qc_no_outcome(done ? r : resize_drained(img, size, true));
}
