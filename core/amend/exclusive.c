/* SPDX-License-Identifier: MIT */
#include "amend/exclusive.h"

#include <errno.h>

#include "base/outcome.h"
#include "image/gather.h"
#include "update/autoclear.h"
#include "update/checkpoint.h"

/* Writes most of the dirty metadata while requests go on.  Bitmaps stay valid: what the disk
 * reads does not change. */
static qc_err prepare_exclusive(struct qc_writer *w, struct qc_reason *why)
{
	qc_err r = qc_writer_flush_all(w);

	if (!r)
		r = qc_autoclear_clear(w);
	return r ? qc_fail_errno(why, r, "cannot write") : 0;
}

qc_err qc_exclusive_run(struct qc_image *img, qc_exclusive_fn *fn, void *arg,
			struct qc_reason *why)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	qc_err flushed, r;

	if (!img->writable)
		return qc_fail(why, -EROFS, "not open for writing");
	r = prepare_exclusive(w, why);
	if (r)
		return qc_no_outcome(r);
	qc_gather_block(img);
	qc_lock(&w->resize_lock);
	qc_drain_begin(&l->inflight);
	r = qc_writer_flush_all(w);
	r = r ? qc_fail_errno(why, r, "cannot write") : fn(w, arg, why);
	qc_drain_end(&l->inflight);
	qc_unlock(&w->resize_lock);
	qc_gather_unblock(img);
	/* A failed change has freed its clusters again: that is dirty metadata. */
	flushed = qc_writer_flush_all(w);
	if (!r && flushed)
		r = qc_fail_errno(why, flushed, "cannot write");
	return qc_no_outcome(r);
}
