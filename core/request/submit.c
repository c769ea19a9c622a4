/* SPDX-License-Identifier: MIT */
/*
 * submit.c - the public calls that read or change a range of a disk.
 *
 * Each checks its arguments, and is one request in flight on the top layer.  The size is
 * checked by the request in flight: a resize, which drains, may just have changed it.
 */
#include <errno.h>

#include "base/outcome.h"
#include "base/range.h"
#include "image/flusher.h"
#include "image/gather.h"
#include "request/request.h"
#include "update/checkpoint.h"

/* ---- reads ---------------------------------------------------------------- */

typedef qc_err read_fn(struct qc_image *img, uint64_t off, void *out, size_t len);

static qc_err read_bytes(struct qc_image *img, uint64_t off, void *buf, size_t len)
{
	return img->bytes_ops ? img->bytes_ops->read(img, off, buf, len) :
				qc_read_inflight(img, off, buf, len);
}

static qc_err read_status(struct qc_image *img, uint64_t off, void *out, size_t len)
{
	(void)len;
	return img->bytes_ops ? img->bytes_ops->block_status(img, off, out) :
				qc_block_status_inflight(img, off, out);
}

static qc_err read_mapping(struct qc_image *img, uint64_t off, void *out, size_t len)
{
	(void)len;
	return qc_mapping_get_inflight(img, off, out);
}

/* Runs @fn as a request in flight, on a range inside of the disk. */
static qc_err submit_read(struct qc_image *img, uint64_t off, void *out, size_t len, read_fn *fn)
{
	struct qc_layer *top = img->layer[0];
	struct qc_inflight_token token;
	qc_err stored, r = -EINVAL;

	if (img->headers_only)
		return -EINVAL;
	stored = qc_gather_store_range(img, off, fn == read_bytes ? len : UINT64_MAX);
	if (stored)
		return qc_no_outcome(stored);
	token = qc_inflight_begin(&top->inflight);
	if (range_inside(off, len, qc_size(img))) {
		r = fn(img, off, out, len);
		if (fn == read_bytes)
			qc_io_stats_count_read(&top->io_stats, token, len);
	}
	qc_inflight_end(&top->inflight, token);
	return qc_no_outcome(r);
}

qc_err qc_read(struct qc_image *img, uint64_t off, void *buf, size_t len)
{
	return submit_read(img, off, buf, len, read_bytes);
}

qc_err qc_block_status(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	return submit_read(img, off, out, 1, read_status);
}

qc_err qc_get_mapping(struct qc_image *img, uint64_t off, struct qc_mapping *out)
{
	return submit_read(img, off, out, 1, read_mapping);
}

/* ---- changes -------------------------------------------------------------- */

typedef qc_err change_fn(struct qc_image *img, uint64_t off, const void *buf, uint64_t len);

static qc_err change_allocation(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	(void)buf;
	return qc_allocate_inflight(img, off, len, false);
}

static qc_err change_to_preallocated(struct qc_image *img, uint64_t off, const void *buf,
				     uint64_t len)
{
	(void)buf;
	return qc_allocate_inflight(img, off, len, true);
}

static qc_err change_to_empty(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	(void)off, (void)buf;
	return qc_clear_inflight(img, len);
}

/* Runs @fn as a request in flight, on a range inside of the disk.  change_to_empty() gets the
 * whole disk. */
static qc_err submit_change(struct qc_image *img, uint64_t off, const void *buf, uint64_t len,
			    change_fn *fn)
{
	struct qc_layer *top = img->layer[0];
	struct qc_inflight_token token;
	qc_err stored, r = -EINVAL;

	if (!img->writable)
		return -EROFS;
	stored = qc_gather_store_range(img, off, fn == change_to_empty ? UINT64_MAX : len);
	if (stored)
		return qc_no_outcome(stored);
	token = qc_inflight_begin(&top->inflight);
	if (fn == change_to_empty)
		len = qc_size(img);
	if (range_inside(off, len, qc_size(img))) {
		r = fn(img, off, buf, len);
		if (r && !top->writer->aborted) /* the abort was logged */
			qc_layer_report_write_error(top, off, len, r);
		if (fn != change_allocation) /* which changes no byte */
			qc_writer_range_changed(top->writer, off, len);
		qc_io_stats_count_write(&top->io_stats, token, buf ? len : 0);
	}
	qc_inflight_end(&top->inflight, token);
	return qc_no_outcome(r);
}

static qc_err change_bytes(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	return qc_write_inflight(img, off, buf, len);
}

static qc_err change_to_zeros(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	(void)buf;
	return qc_write_zeroes_inflight(img, off, len, true);
}

static qc_err change_to_holes(struct qc_image *img, uint64_t off, const void *buf, uint64_t len)
{
	(void)buf;
	return qc_write_zeroes_inflight(img, off, len, !img->ctx->unmap);
}

static qc_err change_to_compressed(struct qc_image *img, uint64_t off, const void *buf,
				   uint64_t len)
{
	return qc_write_compressed_inflight(img, off, buf, len);
}

qc_err qc_write(struct qc_image *img, uint64_t off, const void *buf, size_t len)
{
	return submit_change(img, off, buf, len, change_bytes);
}

qc_err qc_write_compressed(struct qc_image *img, uint64_t off, const void *buf, size_t len)
{
	return submit_change(img, off, buf, len, change_to_compressed);
}

qc_err qc_allocate(struct qc_image *img, uint64_t off, uint64_t len)
{
	return submit_change(img, off, NULL, len, change_allocation);
}

qc_err qc_preallocate(struct qc_image *img, uint64_t off, uint64_t len)
{
	return submit_change(img, off, NULL, len, change_to_preallocated);
}

qc_err qc_write_zeroes(struct qc_image *img, uint64_t off, uint64_t len)
{
	return submit_change(img, off, NULL, len, change_to_zeros);
}

qc_err qc_discard(struct qc_image *img, uint64_t off, uint64_t len)
{
	return submit_change(img, off, NULL, len, change_to_holes);
}

qc_err qc_clear(struct qc_image *img)
{
	return submit_change(img, 0, NULL, 0, change_to_empty);
}

/* ---- durability ----------------------------------------------------------- */

/* Works also on an image that is open for reading only, as fsync(2) does: another image
 * may write to the same layer. */
qc_err qc_flush(struct qc_image *img)
{
	struct qc_writer *w = img->layer[0]->writer;
	bool left = false;
	qc_err stored, r;

	if (!w)
		return 0;
	stored = qc_gather_flush(img, false);
	r = qc_checkpoint_free_few(w, &left);
	if (left)
		qc_flusher_wake(img->ctx->flusher);
	return qc_no_outcome(r ? r : stored);
}

qc_err qc_writeback(struct qc_image *img)
{
	qc_err stored, r;

	if (!img->writable)
		return 0;
	stored = qc_gather_flush(img, true);
	r = qc_writer_flush_all(img->layer[0]->writer);
	return qc_no_outcome(r ? r : stored);
}
