/* SPDX-License-Identifier: MIT */
/*
 * extent.c - find out where a disk has data, and where holes.
 *
 * A hole is a range that reads as zeros with regard to all layers: nothing is allocated
 * there, or a zero cluster.  Data that consists of zeros is not searched for.
 */
#include "image/image.h"
#include "base/range.h"
#include "request/request.h"

/* Lookups of one call at most, so that a call does not take long on odd tables. */
enum { EXTENT_STEPS_MAX = 1 << 14 };

/* Tells data from holes in one step of a walk.  A raw file may have holes, which only the
 * file system knows. */
static qc_err classify_step(const struct qc_step *s, struct qc_extent *e)
{
	qc_err r;

	*e = (struct qc_extent){ s->x.len, s->x.kind == QC_DATA || s->x.kind == QC_COMPRESSED ||
					   s->x.kind == QC_DAMAGED };
	if (s->layer->format != QC_FORMAT_RAW || s->x.kind != QC_DATA)
		return 0;
	r = qc_file_extent(s->layer->file, s->at.v, e);
	e->len = min_u64(e->len, s->x.len);
	return r;
}

/* Returns true if a program that looks for data is told that there is some: it reads filled
 * bytes, or in an image that is rescued, the error. */
static bool is_served(const struct qc_image *img, const struct qc_step *s)
{
	return img->ctx->lost != QC_LOST_EIO || s->reason != QC_REASON_NONE;
}

uint64_t qc_layout_version(const struct qc_image *img)
{
	uint64_t version = 1;

	if (img->bytes_ops)
		return 0;
	for (unsigned int i = img->top; i < img->bottom; i++) {
		const struct qc_layer *l = img->layer[i];

		if (l->format == QC_FORMAT_RAW || atomic_load(&l->stale))
			return 0;
		version += atomic_load(&l->map_version);
	}
	return version;
}

qc_err qc_block_status_inflight(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	unsigned int steps = 0;
	struct qc_walk w;
	qc_err r = 0;

	*out = (struct qc_extent){ 0, false };
	qc_walk_begin(&w, img, off, qc_size(img));
	while (off + out->len < qc_size(img) && steps++ < EXTENT_STEPS_MAX) {
		uint64_t at = w.at;
		struct qc_extent e;
		struct qc_step s;

		r = qc_walk_step(&w, &s);
		if (!r && s.x.kind == QC_DAMAGED && !is_served(img, &s))
			/* ends the run, or is reported by the next call */
			r = out->len ? -EIO : qc_map_report_damage(s.layer, s.at, &s.x);
		if (!r)
			r = classify_step(&s, &e);
		if (r || (out->len && e.data != out->data))
			break;
		out->data = e.data;
		out->len += e.len;
		w.at = at + e.len;
	}
	return out->len ? 0 : r;
}
