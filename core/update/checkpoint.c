/* SPDX-License-Identifier: MIT */
#include "update/checkpoint.h"

#include <errno.h>

#include "base/byteorder.h"
#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "layer/context_fields.h"
#include "update/abort.h"
#include "update/data_punch.h"
#include "update/writer_client.h"

enum { FREE_FEW = 64 }; /* extents; punching them takes some milliseconds */

qc_err qc_writer_sync(struct qc_writer *w)
{
	qc_err r;

	if (w->layer->ctx->no_sync)
		return 0;
	r = qc_file_sync(w->file);
	if (!r && w->data != w->file)
		r = qc_file_sync(w->data);
	return r ? qc_writer_abort(w, r, "cannot sync") : 0;
}

qc_err qc_writer_update_header(struct qc_writer *w, uint64_t at, const void *field, size_t len)
{
	/* A few bytes of one sector: a crash leaves all of the old ones or all of the new. */
	qc_err r = qc_file_write(w->file, at, field, len);

	return r ? r : qc_writer_sync(w);
}

/* ---- L1 and L2 tables ----------------------------------------------------- */

static bool is_in_l1_table(const struct geom *g, uint64_t offset)
{
	return offset >= g->l1_offset && offset - g->l1_offset < (uint64_t)g->l1_entries * 8;
}

/* Writes the slices of the L1 table, or all others.  *any: there were some. */
static qc_err write_table_slices(struct qc_writer *w, const struct qc_dirty_slices *dirty, bool l1,
				 bool *any)
{
	const struct geom *g = &w->layer->head.geom;
	qc_err r = 0;

	*any = false;
	for (size_t i = 0; !r && i < dirty->n; i++) {
		uint64_t offset = dirty->slice[i].offset, len = w->layer->slice_bytes;

		if (is_in_l1_table(g, offset) != l1)
			continue;
		if (l1) /* bytes behind the L1 table are not part of it */
			len = range_clamp(offset, len, g->l1_offset + (uint64_t)g->l1_entries * 8);
		*any = true;
		r = qc_file_write(w->file, offset, dirty->slice[i].bytes, len);
	}
	return r;
}

/* Without new links all kinds may reach the file in any order.  So one sync is enough, which then
 * also covers guest data. */
static qc_err write_l2_then_l1(struct qc_writer *w, const struct qc_dirty_slices *dirty,
			       bool new_links)
{
	bool any;
	qc_err r = write_table_slices(w, dirty, false, &any);

	if (!r && any && new_links)
		r = qc_writer_sync(w);
	if (!r)
		r = write_table_slices(w, dirty, true, &any);
	if (!r && (any || !new_links))
		r = qc_writer_sync(w);
	return r;
}

/* ---- refcounts ------------------------------------------------------------ */

/* Writes refcount blocks, with a sync if new links follow, and then entries of the refcount table. */
static qc_err write_refcounts(struct qc_writer *w, bool new_links)
{
	struct qc_reftable_update update;
	qc_err e, r = qc_alloc_write_blocks(&w->alloc, &update);

	if (!r && (new_links || update.entry))
		r = qc_writer_sync(w); /* this covers guest data, too */
	if (!update.entry)
		return r;
	e = qc_alloc_write_table_entries(&w->alloc, &update, !r);
	r = r ? r : e;
	return r ? r : qc_writer_sync(w);
}

void qc_writer_on_cluster_freed(void *arg, uint64_t off, uint64_t len)
{
	struct qc_writer *w = arg;

	qc_cache_invalidate(w->layer->tables, off, len);
	qc_cluster_cache_invalidate(w->layer->ctx->cluster_cache, w->layer);
	if (w->unmap)
		qc_file_punch(w->file, off, len); /* a failure only costs space */
}

static void take_frees(struct qc_writer *w, struct qc_free_list *taken)
{
	qc_alloc_take_pending(&w->alloc, taken);
	qc_data_punch_take(w);
}

static void requeue_frees(struct qc_writer *w, struct qc_free_list *taken)
{
	qc_alloc_requeue_pending(&w->alloc, taken);
	qc_data_punch_requeue(w);
}

/* Frees extents that are in no table in the file, once no request in flight can have looked
 * them up, and punches those of the data file.  Empties @taken. */
static qc_err free_extents(struct qc_writer *w, struct qc_free_list *taken)
{
	qc_err r;

	if (!taken->n && !qc_data_punch_is_taken(w)) {
		qc_free_list_clear(taken);
		return 0;
	}
	qc_inflight_synchronize(&w->layer->inflight);
	if (FAIL_POINT("checkpoint.before-free")) {
		requeue_frees(w, taken);
		return -EIO;
	}
	qc_data_punch_run(w);
	r = qc_alloc_free_pending(&w->alloc, taken, qc_writer_on_cluster_freed, w);
	if (r == QC_REFCOUNT_UNDERFLOW)
		r = qc_writer_mark_corrupt(w, "the refcount of a cluster that becomes free is 0");
	return r;
}

/* ---- the size ------------------------------------------------------------- */

void qc_writer_grow_size(struct qc_writer *w, uint64_t size)
{
	uint64_t now = atomic_load(&w->layer->size);

	while (now < size && !atomic_compare_exchange_weak(&w->layer->size, &now, size))
		;
	atomic_store(&w->size_dirty, true);
}

/* Writes the size of a disk that has grown in memory only.  Call with checkpoint_lock. */
static qc_err write_grown_size(struct qc_writer *w)
{
	uint8_t raw[8];
	uint64_t size;
	qc_err r;

	if (!atomic_exchange(&w->size_dirty, false))
		return 0;
	size = atomic_load(&w->layer->size);
	be64_to(raw, size);
	r = qc_writer_update_header(w, HEAD_SIZE, raw, sizeof(raw));
	if (r)
		atomic_store(&w->size_dirty, true);
	else
		w->layer->head.size = size;
	return r;
}

/* ---- checkpoints ---------------------------------------------------------- */

/* Writes all dirty metadata.  L1 and L2 slices are copied before refcount blocks, so that the
 * refcounts cover every cluster that the copies reference; requests go on meanwhile. */
static qc_err write_dirty_metadata(struct qc_writer *w)
{
	struct qc_dirty_slices dirty;
	qc_err r = qc_cache_writeback_begin(w->layer->tables, &dirty);
	bool new_links;

	if (r)
		return r;
	/* After the copies: the first sync covers a link that was made since then, too. */
	new_links = atomic_exchange(&w->layer->has_new_links, false);
	r = write_refcounts(w, new_links);
	if (!r)
		r = write_l2_then_l1(w, &dirty, new_links);
	qc_cache_writeback_end(w->layer->tables, &dirty, !r);
	if (r && new_links)
		atomic_store(&w->layer->has_new_links, true);
	return r;
}

/* Writes a checkpoint, and takes the pending extents into *taken unless that is NULL. */
static qc_err write_checkpoint(struct qc_writer *w, struct qc_free_list *taken)
{
	qc_err r = -EIO;

	qc_lock(&w->checkpoint_lock);
	if (w->layer->watch.lost || w->layer->data_watch.lost)
		atomic_store(&w->aborted, true);
	if (!w->aborted) {
		if (taken)
			take_frees(w, taken);
		r = write_dirty_metadata(w);
		if (!r)
			r = write_grown_size(w);
	}
	if (r && taken)
		requeue_frees(w, taken);
	qc_unlock(&w->checkpoint_lock);
	return r;
}

/* Writes a checkpoint, and frees at most @most of the pending extents. */
static qc_err checkpoint_and_free(struct qc_writer *w, size_t most)
{
	struct qc_free_list taken = { 0 };
	qc_err r = qc_writer_client_flush(w);

	if (r)
		return r;
	/* A second caller waits here: the pending list is empty already, but its extents are
	 * not free before free_extents() has returned. */
	qc_lock(&w->pending_free_lock);
	r = write_checkpoint(w, &taken);
	if (!r) {
		qc_alloc_requeue_beyond(&w->alloc, &taken, most);
		atomic_store(&w->frees_many, taken.n > FREE_FEW);
		/* without checkpoint_lock: a request in flight may need a checkpoint */
		r = free_extents(w, &taken);
		atomic_store(&w->frees_many, false);
	}
	qc_unlock(&w->pending_free_lock);
	return r;
}

qc_err qc_checkpoint(struct qc_writer *w, bool free_pending)
{
	qc_err r;

	if (free_pending)
		return checkpoint_and_free(w, SIZE_MAX);
	r = qc_writer_client_flush(w);
	return r ? r : write_checkpoint(w, NULL);
}

qc_err qc_checkpoint_free_few(struct qc_writer *w, bool *left)
{
	bool wait = !atomic_load(&w->frees_many); /* else for much longer */
	qc_err r = wait ? checkpoint_and_free(w, FREE_FEW) : qc_checkpoint(w, false);

	*left = !r && qc_alloc_has_pending(&w->alloc);
	return r;
}

qc_err qc_with_checkpoints(struct qc_writer *w, qc_checkpoint_fn *fn, void *arg)
{
	qc_err r;

	do {
		r = fn(arg);
	} while (r == QC_RETRY_CHECKPOINT && !(r = qc_checkpoint(w, false)));
	return r;
}

bool qc_writer_is_dirty(struct qc_writer *w)
{
	return !w->aborted && (qc_cache_is_dirty(w->layer->tables) ||
			       qc_alloc_is_dirty(&w->alloc) || qc_data_punch_is_pending(w) ||
			       w->size_dirty);
}

/* Returns true if metadata is dirty, once no other thread's checkpoint is running: slices that
 * it is writing are not dirty, but not in the file yet. */
static bool is_dirty_after_others(struct qc_writer *w)
{
	bool dirty;

	qc_lock(&w->pending_free_lock);
	qc_lock(&w->checkpoint_lock);
	dirty = qc_writer_is_dirty(w);
	qc_unlock(&w->checkpoint_lock);
	qc_unlock(&w->pending_free_lock);
	return dirty;
}

qc_err qc_writer_flush_all(struct qc_writer *w)
{
	qc_err r = w->aborted ? -EIO : 0;

	/* The first checkpoint frees pending extents, the second writes their refcounts. */
	for (int i = 0; !r && i < 3 && is_dirty_after_others(w); i++)
		r = qc_checkpoint(w, true);
	return r;
}
