/* SPDX-License-Identifier: MIT */
/*
 * commit.c - write the data of an overlay to a file of its backing chain.
 *
 * Called by the command `commit`.  Invariant: the disk of the overlay stays as it is.  While
 * data is copied, the overlay still has all that it had, and hides the file that is written.
 * Only when that file is on stable storage, the clusters of the overlay are unlinked: then
 * each of them reads the same from its backing file.  So a crash at any moment leaves both
 * files sound, and the same disk.
 */
#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "copy/commit_base.h"
#include "copy/copy_disk.h"
#include "request/unlink.h"
#include "update/checkpoint.h"
#include "update/writer.h"

enum { CHUNK_BYTES = 1 << 20 };

struct commit {
	struct qc_image *img;
	unsigned int n; /* layers that are committed: those above the base */
	struct qc_image above; /* the same chain, with these layers only */
	struct qc_commit_base base;
	uint8_t *buf;
};

/* ---- copy ----------------------------------------------------------------------- */

/* Finds the run at @off that one of the upper layers has, or that none has (QC_UNALLOCATED).
 * Behind the end of a layer its disk reads as zeros. */
static qc_err find_allocated_run(struct commit *c, uint64_t off, uint64_t max,
				 struct qc_map_extent *x)
{
	uint64_t len = max;
	qc_err r = 0;

	for (unsigned int i = 0; !r && i < c->n; i++) {
		struct qc_layer *l = c->img->layer[i];

		*x = (struct qc_map_extent){ .kind = QC_ZERO, .len = len };
		if (off < l->size)
			r = qc_map_lookup(l, (struct goff){ off }, min_u64(len, l->size - off), x);
		if (!r && x->kind == QC_DAMAGED)
			r = qc_map_report_damage(l, (struct goff){ off }, x);
		len = x->len;
		if (x->kind != QC_UNALLOCATED)
			break;
	}
	return r;
}

static qc_err commit_data(struct commit *c, uint64_t off, uint64_t len)
{
	qc_err r = 0;

	for (uint64_t n; !r && len; off += n, len -= n) {
		n = min_u64(len, CHUNK_BYTES);
		r = qc_read(&c->above, off, c->buf, n);
		if (!r)
			r = qc_commit_base_write(&c->base, off, c->buf, n);
	}
	return r;
}

static qc_err commit_all(struct commit *c, qc_copy_progress_fn *progress, void *arg)
{
	uint64_t size = c->img->layer[0]->size;
	qc_err r = 0;

	for (uint64_t off = 0; !r && off < size;) {
		/* Bounded, so that the user sees progress. */
		uint64_t most = min_u64(size - off, max_u64(64 * MIB, size / 1024));
		struct qc_map_extent x;

		r = find_allocated_run(c, off, most, &x);
		if (!r && (x.kind == QC_DATA || x.kind == QC_COMPRESSED))
			r = commit_data(c, off, x.len);
		else if (!r && x.kind == QC_ZERO)
			r = qc_commit_base_zero(&c->base, off, x.len);
		off += r ? 0 : x.len;
		if (!r && progress && !progress(arg, off, size))
			r = -ECANCELED;
	}
	return r;
}

/* ---- empty the overlay ---------------------------------------------------------------- */

/* Gives back the space of an overlay without tables.  Version 1 has no refcounts: its clusters
 * are behind the header and the L1 table. */
static qc_err release_space(struct qc_writer *w)
{
	struct qc_header *h = &w->layer->head;
	uint64_t end = h->geom.l1_offset + h->geom.l1_entries * UINT64_C(8), size;
	qc_err r = 0;

	if (w->data != w->file)
		qc_file_punch(w->data, 0, w->layer->size); /* a failure only costs space */
	if (h->version > 1)
		return 0;
	end = round_up(max_u64(end, h->backing_offset + h->backing_len), geom_cluster(&h->geom));
	r = qc_file_size(w->file, &size);
	if (!r && size > end)
		r = qc_file_resize(w->file, end);
	return r;
}

static qc_err empty_overlay(struct qc_image *img)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	uint64_t span = geom_l1_span(&l->head.geom);
	qc_err r = qc_writer_prepare(w);

	qc_lock(&w->resize_lock);
	qc_drain_begin(&l->inflight);
	for (uint64_t at = 0; !r && at < l->size; at += span)
		r = qc_unlink_l2_table(w, (struct goff){ at });
	qc_drain_end(&l->inflight);
	qc_unlock(&w->resize_lock);
	if (!r)
		r = qc_writer_flush_all(w);
	return r ? r : release_space(w);
}

/* ---- public ------------------------------------------------------------------------------ */

static qc_err copy_to_base(struct commit *c, qc_copy_progress_fn *progress, void *arg,
			   struct qc_reason *why)
{
	uint64_t size = c->img->layer[0]->size;
	qc_err r = 0;

	*why->text = 0;
	if (qc_commit_base_size(&c->base) < size)
		r = qc_commit_base_grow(&c->base, size);
	if (r)
		qc_fail_errno(why, r, "cannot grow");
	if (!r)
		r = commit_all(c, progress, arg);
	if (!r)
		r = qc_commit_base_flush(&c->base);
	if (!r || r == -ECANCELED)
		return r;
	if (!*why->text)
		qc_fail_errno(why, r, "cannot copy the data of the overlay");
	qc_reason_prefix(why, "backing file %s", c->base.layer->path);
	return r;
}

qc_err qc_commit(struct qc_image *img, unsigned int n, bool empty, qc_copy_progress_fn *progress,
		 void *arg, struct qc_reason *why)
{
	AUTO_FREE struct commit *c = calloc(1, sizeof(*c));
	AUTO_FREE uint8_t *buf = malloc(CHUNK_BYTES);
	qc_err r;

	if (!c || !buf)
		return qc_fail_errno(why, -ENOMEM, NULL);
	if (!img->writable || !n || n >= img->depth || (empty && n > 1))
		return qc_fail_errno(why, -EINVAL, NULL);
	c->img = img;
	c->n = n;
	c->buf = buf;
	c->above = *img;
	c->above.bottom = n;
	r = qc_check_walk_ends(img, why);
	if (r)
		return r;
	r = qc_commit_base_open(img, n, &c->base, why);
	if (!r)
		r = copy_to_base(c, progress, arg, why);
	if (!r && FAIL_POINT("commit.before-empty"))
		r = qc_fail_errno(why, -EIO, NULL);
	if (!r && empty) {
		r = empty_overlay(img);
		if (r)
			qc_fail_errno(why, r, "cannot empty the overlay");
	}
	qc_commit_base_close(&c->base);
	return qc_no_outcome(r);
}
