/* SPDX-License-Identifier: MIT */
#include "image/chain_walk.h"

#include <errno.h>

#include "base/range.h"

/* Looks up w->at in the layer at w->depth.  Beyond the end of that layer the disk reads as
 * zeros, also if a layer below is longer. */
static qc_err look_up_in_layer(struct qc_walk *w, struct qc_step *out)
{
	struct qc_image *img = w->img;
	struct qc_layer *l = img->layer[w->depth];
	bool of_snapshot = img->of_snapshot && !w->depth;
	uint64_t left = w->end[w->depth] - w->at;
	uint64_t max = range_clamp(w->at, left, of_snapshot ? img->size : l->size);

	out->layer = l;
	out->at.v = w->at;
	out->x = (struct qc_map_extent){ .kind = QC_ZERO, .len = left };
	if (!max)
		return 0;
	if (atomic_load_explicit(&l->stale, memory_order_relaxed))
		return -ESTALE;
	if (!of_snapshot)
		return qc_map_lookup(l, out->at, max, &out->x);
	out->at.v += img->base;
	return qc_map_lookup_snapshot(l, &img->root, out->at, max, &out->x);
}

/* Returns true if bytes with this reason are not served. */
static bool is_withheld(const struct qc_image *img, enum qc_grade_reason reason)
{
	switch (qc_grade_map_grade(reason)) {
	case QC_GRADE_GOOD:
		return false;
	case QC_GRADE_DOUBTFUL:
		return img->ctx->doubtful_is_lost;
	case QC_GRADE_ELSEWHERE:
	case QC_GRADE_UNREAD:
	case QC_GRADE_LOST:
		break;
	}
	return true;
}

static void set_lost(struct qc_step *out, enum qc_grade_reason reason)
{
	out->x = (struct qc_map_extent){ .kind = QC_DAMAGED, .len = out->x.len };
	out->reason = reason;
}

/* Ends the extent where its grade ends.  If it is lost, replaces it by damage. */
static void apply_grade(const struct qc_walk *w, struct qc_step *out)
{
	const struct qc_grade_map *grades = w->img->grades[w->depth];
	enum qc_grade_reason reason;
	uint64_t len;

	out->reason = w->reason[w->depth];
	if (!grades)
		return;
	reason = qc_grade_map_find(grades, out->at.v, &len);
	out->x.len = min_u64(out->x.len, len);
	if (is_withheld(w->img, reason))
		set_lost(out, reason);
	else if (out->reason == QC_REASON_NONE)
		out->reason = reason;
	if (out->x.kind != QC_DAMAGED && is_withheld(w->img, out->reason))
		set_lost(out, out->reason);
}

static void end_at_bottom(const struct qc_walk *w, struct qc_step *out)
{
	out->x.kind = QC_ZERO;
	if (w->img->backing_missing && w->img->bottom == w->img->depth)
		set_lost(out, QC_REASON_BACKING_MISSING);
}

qc_err qc_walk_step(struct qc_walk *w, struct qc_step *out)
{
	while (w->depth > w->img->top && w->end[w->depth] <= w->at)
		w->depth--;
	for (;;) {
		qc_err r = look_up_in_layer(w, out);

		if (r)
			return r;
		apply_grade(w, out);
		if (out->x.kind != QC_UNALLOCATED)
			break;
		if (w->depth + 1 == w->img->bottom) {
			end_at_bottom(w, out);
			break;
		}
		w->depth++;
		w->end[w->depth] = w->at + out->x.len;
		w->reason[w->depth] = out->reason;
	}
	w->at += out->x.len;
	return 0;
}
