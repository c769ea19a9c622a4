/* SPDX-License-Identifier: MIT */
/*
 * clear.c - make a whole disk read as zeros.
 *
 * Goes through the disk by the range of one L2 table.  A table is unlinked with all its
 * clusters where the disk reads as zeros without it: there is no backing file, or the backing
 * file has a hole there.  Elsewhere the range is written with zeroes like any other.  So the
 * time follows from the clusters that are allocated, not from the size of the disk.
 *
 * Version 1 cannot free clusters.  Its tables stay, since data that is written later would
 * otherwise go to new clusters, and the file would grow with each round.
 */
#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "request/request.h"
#include "request/unlink.h"
#include "update/data_punch.h"

struct clear_request {
	struct qc_image *img;
	struct qc_writer *w;
	bool keep;	       /* clusters stay allocated */
	struct qc_image below; /* the same chain without its first layer */
	/* A run of the chain below, as found by the last query. */
	uint64_t run_off;
	struct qc_extent run;
};

/* Returns true if the chain below the image reads as zeros from @off to @end.  Damage there
 * counts as data: zeros will hide it. */
static bool reads_as_zeros_below(struct clear_request *c, uint64_t off, uint64_t end)
{
	if (c->img->depth == 1 || off >= qc_size(&c->below))
		return true;
	end = min_u64(end, qc_size(&c->below));
	if (off < c->run_off || off - c->run_off >= c->run.len) {
		c->run_off = off;
		if (qc_block_status_inflight(&c->below, off, &c->run))
			c->run = (struct qc_extent){ 1, true };
	}
	return !c->run.data && end - c->run_off <= c->run.len;
}

/* Clears [off, end), the range of one L2 table. */
static qc_err clear_table_range(struct clear_request *c, uint64_t off, uint64_t end)
{
	struct goff at = { off };
	struct qc_locked_range range;
	uint64_t raw;
	qc_err r;

	if (!reads_as_zeros_below(c, off, end))
		return qc_write_zeroes_inflight(c->img, off, end - off, c->keep);
	r = qc_map_l1_get(c->w->layer, at, &raw);
	if (r || !raw)
		return r;
	if (c->keep || c->w->layer->head.geom.layout == LAYOUT_V1)
		return qc_write_zeroes_inflight(c->img, off, end - off, c->keep);
	qc_range_lock(&c->w->range_locks, &range, off, off + geom_l1_span(&c->w->layer->head.geom));
	r = qc_unlink_l2_table(c->w, at);
	if (!r && c->w->data != c->w->file)
		qc_data_punch_later(c->w, off, end - off);
	qc_range_unlock(&c->w->range_locks, &range);
	return r;
}

/* Clears a disk whose external data file must read as the disk by itself.  The tables stay
 * as they are: guest data that they map is a hole then. */
static qc_err clear_raw_data_file(struct clear_request *c, uint64_t size)
{
	if (c->img->depth == 1 && !c->w->layer->crypt && !qc_file_punch(c->w->data, 0, size))
		return 0;
	return qc_write_zeroes_inflight(c->img, 0, size, c->keep);
}

qc_err qc_clear_inflight(struct qc_image *img, uint64_t size)
{
	struct qc_layer *l = img->layer[0];
	struct clear_request c = {
		.img = img, .w = l->writer, .keep = !img->ctx->unmap, .below = *img
	};
	uint64_t span = geom_l1_span(&l->head.geom);
	qc_err r = qc_writer_prepare(c.w); /* before the look at autoclear bits: it clears some */

	if (r || !size)
		return r;
	c.below.top = 1;
	if (l->head.autoclear & AUTOCLEAR_RAW_DATA_FILE)
		return clear_raw_data_file(&c, size);
	for (uint64_t at = 0; !r && at < size; at += span)
		r = clear_table_range(&c, at, min_u64(size, at + span));
	return r;
}
