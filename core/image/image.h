/* SPDX-License-Identifier: MIT */
/*
 * image.h - an open image: its chain of layers, and the way down through it.
 */
#ifndef QC_IMAGE_H
#define QC_IMAGE_H

#include "layer/cluster_map.h"
#include "image/layer_table.h"

struct qc_image {
	struct qc_context *ctx;
	bool headers_only, partial, writable;
	unsigned int depth;
	struct qc_layer *layer[CHAIN_MAX]; /* [0] is the image itself */

	/* What is read of them: all, from the first down; or another disk of the
	 * same files (snapshot_open.c). */
	unsigned int top, bottom; /* layers [top, bottom) */
	bool of_snapshot; /* layer[0] is read through `root`, from `base` on */
	struct qc_l1_table root;
	uint64_t base, size;
	struct qc_pin pin;
};

/*
 * A walk over a stretch of the disk.  At each offset it asks layer after layer,
 * and stays in the lower one for as long as those above it have nothing to say;
 * so a long hole in an overlay costs its lookups once, and no stack.
 */
struct qc_walk {
	struct qc_image *img;
	uint64_t at;
	unsigned int depth;
	uint64_t end[CHAIN_MAX]; /* layers above i are absent up to end[i] */
};

struct qc_step {
	struct qc_layer *layer;
	struct goff at; /* where it is in the layer */
	struct qc_map_extent x; /* never QC_UNALLOCATED */
};

static inline void qc_walk_begin(struct qc_walk *w, struct qc_image *img, uint64_t off,
				 uint64_t end)
{
	w->img = img;
	w->at = off;
	w->depth = img->top;
	w->end[img->top] = end;
}

/* -EBUSY if somebody uses a file of the chain, which was headers_only at, so that the image
 * cannot be opened now (info.c). */
qc_err qc_image_in_use(struct qc_image *img, struct qc_reason *why);

/* The run at w->at, and moves behind it.  w->at < end of the walk. */
qc_err qc_walk_step(struct qc_walk *w, struct qc_step *out);

#endif
