/* SPDX-License-Identifier: MIT */
/*
 * submit.c - the public calls that change a disk: through the gate, with a range
 * that the disk has.
 */
#include <errno.h>

#include "base/outcome.h"
#include "base/range.h"
#include "request/request.h"
#include "update/checkpoint.h"

typedef qc_err change_fn(struct qc_image *img, uint64_t off, const void *buf, uint64_t len);

static qc_err do_allocate(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	(void)buf;
	return qc_allocate_inflight(img, off, len);
}

/* What the disk is, is asked inside: a resize may just have changed it. */
static qc_err enter(struct qc_image *img, uint64_t off, const void *buf, uint64_t len,
		    change_fn *fn)
{
	struct qc_inflight_token pass;
	qc_err r = -EINVAL;

	if (!img->writable)
		return -EROFS;
	pass = qc_inflight_begin(&img->layer[0]->inflight);
	if (range_inside(off, len, qc_size(img))) {
		r = fn(img, off, buf, len);
		if (fn != do_allocate) /* that changes no byte */
			qc_writer_range_changed(img->layer[0]->writer, off, len);
	}
	qc_io_stats_count_write(&img->layer[0]->io_stats, pass, buf ? len : 0);
	qc_inflight_end(&img->layer[0]->inflight, pass);
	return qc_no_outcome(r);
}

static qc_err do_write(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	return qc_write_inflight(img, off, buf, len);
}

static qc_err do_zero(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	(void)buf;
	return qc_write_zeroes_inflight(img, off, len, true);
}

static qc_err do_discard(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	(void)buf;
	return qc_write_zeroes_inflight(img, off, len, !img->ctx->unmap);
}

qc_err qc_allocate(struct qc_image *img, uint64_t off, uint64_t len)
{
	return enter(img, off, NULL, len, do_allocate);
}

qc_err qc_write_zeroes(struct qc_image *img, uint64_t off, uint64_t len)
{
	return enter(img, off, NULL, len, do_zero);
}

qc_err qc_discard(struct qc_image *img, uint64_t off, uint64_t len)
{
	return enter(img, off, NULL, len, do_discard);
}

qc_err qc_write(struct qc_image *img, uint64_t off, const void *buf, size_t len)
{
	return enter(img, off, buf, len, do_write);
}

/* Also for who has it open for reading only, as fsync(2) does. */
qc_err qc_flush(struct qc_image *img)
{
	struct qc_writer *w = img->layer[0]->writer;

	return w ? qc_no_outcome(qc_checkpoint(w, true)) : 0;
}

qc_err qc_writeback(struct qc_image *img)
{
	return img->writable ? qc_no_outcome(qc_writer_flush_all(img->layer[0]->writer)) : 0;
}
