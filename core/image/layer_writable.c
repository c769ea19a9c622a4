/* SPDX-License-Identifier: MIT */
/*
 * layer_writable.c - making a layer on the shelf writable: nobody else may have it as a
 * backing file, the locks become those of a writer, and its refcounts are to be trusted.
 */
#include "image/layer_table.h"

#include <errno.h>
#include <string.h>

#include "image/flusher.h"
#include "io/image_lock.h"
#include "check/repair.h"
#include "check/check.h"
#include "update/writer.h"

/* An image is written, or the backing file of others, never both. */
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

/* Again: what it had for that was given up for writing, which failed. */
static void lock_for_reading(struct qc_layer *l)
{
	struct qc_reason ignored;
	bool live;

	qc_image_lock_read(qc_file_fd(l->file), l->ctx->locking, &live, &ignored);
	if (l->data != l->file)
		qc_image_lock_read(qc_file_fd(l->data), l->ctx->locking, &live, &ignored);
}

static qc_err check_counts(struct qc_writer *w, struct qc_reason *why)
{
	bool lie;
	qc_err r;

	if (w->layer->head.incompatible & INCOMPAT_DIRTY)
		return qc_repair_refcounts(w, "it was not closed in order", why);
	r = qc_check_before_write(w, &lie);
	if (r)
		return qc_fail_errno(why, r, "its refcounts cannot be read");
	if (lie && !w->alloc.has_refcounts)
		return qc_fail(why, -EIO, "its tables name a place twice, or one behind the end "
				 "of the file");
	return lie ? qc_repair_refcounts(w, "its refcounts are wrong", why) : 0;
}

static qc_err open_writer(struct qc_layer *l, struct qc_reason *why)
{
	struct qc_writer *w;
	qc_err r = qc_writer_open(l, &w, why);

	if (r) {
		lock_for_reading(l);
		return r;
	}
	r = check_counts(w, why);
	if (r) {
		qc_writer_free(w);
		lock_for_reading(l);
	} else {
		atomic_store(&l->writer, w);
	}
	return r;
}

static void start_flusher(struct qc_context *ctx)
{
	qc_lock(&ctx->open_lock);
	if (!ctx->flusher && qc_flusher_start(ctx, &ctx->flusher))
		qc_log(&ctx->log, QC_LOG_WARN, "no thread to flush with: only fsync does");
	qc_unlock(&ctx->open_lock);
}

qc_err qc_layer_make_writable(struct qc_layer *l, struct qc_reason *why)
{
	qc_err r = 0;

	if (!reserve_writing(l))
		return qc_fail_as(why, QC_CAUSE_LOCKED, -EBUSY,
				    "it is the backing file of an image that is open (close that first)");
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
