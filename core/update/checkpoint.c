/* SPDX-License-Identifier: MIT */
#include "update/checkpoint.h"

#include <errno.h>

#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "layer/context.h"
#include "update/abort.h"

/* A failed sync may have dropped what it should have written, and a later one
 * would not know. */
qc_err qc_writer_sync(struct qc_writer *w)
{
	qc_err r = qc_file_sync(w->file);

	if (!r && w->data != w->file)
		r = qc_file_sync(w->data);
	return r ? qc_writer_abort(w, r, "cannot write it to stable storage") : 0;
}

qc_err qc_writer_update_header(struct qc_writer *w, uint64_t at, const void *field, size_t len)
{
	qc_err r = qc_file_write(w->file, at, field, len);

	/* A few bytes of one sector are written, or are not. */
	return r ? r : qc_writer_sync(w);
}

static bool is_l1(const struct geom *g, uint64_t key)
{
	return key >= g->l1_offset && key - g->l1_offset < (uint64_t)g->l1_entries * 8;
}

/* Writes the slices of one kind; *any: there were some. */
static qc_err write_slices(struct qc_writer *w, const struct qc_dirty_slices *changes, bool l1,
			   bool *any)
{
	const struct geom *g = &w->layer->head.geom;
	qc_err r = 0;

	*any = false;
	for (size_t i = 0; !r && i < changes->n; i++) {
		uint64_t key = changes->slice[i].offset, len = w->layer->slice_bytes;

		if (is_l1(g, key) != l1)
			continue;
		if (l1) /* what is behind the table is not ours */
			len = range_clamp(key, len, g->l1_offset + (uint64_t)g->l1_entries * 8);
		*any = true;
		r = qc_file_write(w->file, key, changes->slice[i].bytes, len);
	}
	return r;
}

static qc_err write_tables(struct qc_writer *w, const struct qc_dirty_slices *changes)
{
	bool any;
	qc_err r = write_slices(w, changes, false, &any);

	if (!r && any)
		r = qc_writer_sync(w);
	if (!r)
		r = write_slices(w, changes, true, &any);
	if (!r && any)
		r = qc_writer_sync(w);
	return r;
}

static qc_err write_refcounts(struct qc_writer *w)
{
	struct qc_reftable_update update;
	qc_err e, r = qc_alloc_write_blocks(&w->alloc, &update);

	if (!r)
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
		qc_file_punch(w->file, off, len); /* that it cannot is no harm */
}

static qc_err drain_limbo(struct qc_writer *w, struct qc_free_list *l)
{
	qc_err r;

	if (!l->n) {
		free(l->extent);
		return 0;
	}
	qc_inflight_synchronize(&w->layer->inflight);
	if (FAIL_POINT("checkpoint.before-free")) {
		qc_alloc_requeue_pending(&w->alloc, l);
		return -EIO;
	}
	r = qc_alloc_free_pending(&w->alloc, l, qc_writer_on_cluster_freed, w);
	return r == QC_REFCOUNT_UNDERFLOW ? qc_writer_mark_corrupt(w, "the refcounts are damaged") : r;
}

/* The tables as they are now, and before them what they need. */
static qc_err write_all(struct qc_writer *w)
{
	struct qc_dirty_slices changes;
	qc_err r = qc_cache_writeback_begin(w->layer->tables, &changes);

	if (r)
		return r;
	r = write_refcounts(w);
	if (!r)
		r = write_tables(w, &changes);
	qc_cache_writeback_end(w->layer->tables, &changes, !r);
	return r;
}

static qc_err checkpoint(struct qc_writer *w, struct qc_free_list *limbo)
{
	qc_err r = -EIO;

	qc_lock(&w->checkpoint_lock);
	if (w->layer->watch.lost || w->layer->data_watch.lost)
		atomic_store(&w->aborted, true);
	if (!w->aborted) {
		if (limbo)
			qc_alloc_take_pending(&w->alloc, limbo);
		r = write_all(w);
	}
	if (r && limbo)
		qc_alloc_requeue_pending(&w->alloc, limbo);
	qc_unlock(&w->checkpoint_lock);
	return r;
}

qc_err qc_checkpoint(struct qc_writer *w, bool drain)
{
	struct qc_free_list limbo = { 0 };
	qc_err r = qc_writer_client_flush(w);

	if (r)
		return r;
	if (!drain)
		return checkpoint(w, NULL);
	/* Who comes meanwhile finds nothing in limbo, but is not to think that all
	 * of it is free. */
	qc_lock(&w->pending_free_lock);
	r = checkpoint(w, &limbo);
	if (!r) /* without the lock: who is inside the gate may want a checkpoint */
		r = drain_limbo(w, &limbo);
	qc_unlock(&w->pending_free_lock);
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
			       qc_alloc_is_dirty(&w->alloc));
}

/* What a checkpoint has in hand is not dirty, and not yet in the file. */
static bool is_dirty_or_in_hand(struct qc_writer *w)
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

	/* The first frees, and the second writes the counts of that. */
	for (int i = 0; !r && i < 3 && is_dirty_or_in_hand(w); i++)
		r = qc_checkpoint(w, true);
	return r;
}
