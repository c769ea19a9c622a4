/* SPDX-License-Identifier: MIT */
/*
 * layer_writable.c - make an open layer writable.
 *
 * Called when an image is opened for writing.  No other open image may have the layer as a
 * backing file.  The locks become those of a writer, and the refcounts are checked.
 */
#include "image/layer_table.h"

#include <errno.h>
#include <string.h>

#include "bitmap/bitmap_client.h"
#include "image/flusher.h"
#include "io/image_lock.h"
#include "check/repair.h"
#include "check/check.h"
#include "update/writer.h"

/* Marks the layer as written.  Returns false if it is a backing file of an open image. */
static bool reserve_writing(struct qc_layer *l)
{
	bool ok;

	qc_lock(&l->ctx->layer_table_lock);
	ok = !l->table.backing_users;
	if (ok)
		l->table.has_writer = true;
	qc_unlock(&l->ctx->layer_table_lock);
	return ok;
}

/* Takes the locks for reading again, after the locks for writing were in vain. */
static void lock_for_reading(struct qc_layer *l)
{
	struct qc_reason ignored;
	bool has_writer;
	qc_err r = qc_image_lock_read(qc_file_fd(l->file), l->ctx->locking, &has_writer, &ignored);

	if (!r && l->data != l->file)
		r = qc_image_lock_read(qc_file_fd(l->data), l->ctx->locking, &has_writer, &ignored);
	if (r)
		qc_log(&l->ctx->log, QC_LOG_WARN, "%s: cannot lock it for reading again: %s (reads go "
		       "on without a lock)", l->path, strerror(-r));
}

static qc_err check_or_repair(struct qc_writer *w, struct qc_reason *why)
{
	bool inconsistent;
	qc_err r;

	if (w->layer->head.incompatible & INCOMPAT_DIRTY)
		return qc_repair_refcounts(w, "not closed in order", why);
	r = qc_check_before_write(w, &inconsistent);
	if (r)
		return qc_fail_errno(why, r, "cannot read the refcounts");
	if (inconsistent && !w->alloc.has_refcounts)
		return qc_fail(why, -EIO, "two table entries reference one cluster, or one beyond "
				 "the end of the file");
	return inconsistent ? qc_repair_refcounts(w, "refcounts are wrong", why) : 0;
}

static qc_err open_writer(struct qc_layer *l, struct qc_reason *why)
{
	struct qc_writer *w;
	qc_err r = qc_writer_open(l, &w, why);

	if (r) {
		lock_for_reading(l);
		return r;
	}
	r = check_or_repair(w, why);
	if (r) {
		qc_writer_free(w);
		lock_for_reading(l);
	} else {
		qc_bitmap_client_add(w);
		atomic_store(&l->writer, w);
	}
	return r;
}

static void start_flusher(struct qc_context *ctx)
{
	qc_lock(&ctx->open_lock);
	if (!ctx->flusher && qc_flusher_start(ctx, &ctx->flusher))
		qc_log(&ctx->log, QC_LOG_WARN, "cannot start the flusher: changes are written by fsync only");
	qc_unlock(&ctx->open_lock);
}

qc_err qc_layer_make_writable(struct qc_layer *l, struct qc_reason *why)
{
	qc_err r = 0;

	if (!reserve_writing(l))
		return qc_fail_as(why, QC_CAUSE_LOCKED, -EBUSY,
				    "backing file of an image that is open here (close that first)");
	start_flusher(l->ctx);
	qc_lock(&l->open_lock);
	if (!l->writer)
		r = open_writer(l, why);
	qc_unlock(&l->open_lock);
	if (r) {
		qc_lock(&l->ctx->layer_table_lock);
		l->table.has_writer = l->writer;
		qc_unlock(&l->ctx->layer_table_lock);
	}
	return r;
}
