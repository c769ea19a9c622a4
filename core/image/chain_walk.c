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

qc_err qc_walk_step(struct qc_walk *w, struct qc_step *out)
{
	while (w->depth > w->img->top && w->end[w->depth] <= w->at)
		w->depth--;
	for (;;) {
		qc_err r = look_up_in_layer(w, out);

		if (r)
			return r;
		if (out->x.kind != QC_UNALLOCATED)
			break;
		out->x.kind = QC_ZERO;
		if (w->depth + 1 == w->img->bottom)
			break;
		w->depth++;
		w->end[w->depth] = w->at + out->x.len;
	}
	w->at += out->x.len;
	return 0;
}
