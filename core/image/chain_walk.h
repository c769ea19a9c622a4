/* SPDX-License-Identifier: MIT */
/*
 * chain_walk.h - map a range of the disk through the backing chain, extent by extent.
 *
 * Called by reads, by writes that copy old data, and by queries.  The walk asks layer after
 * layer, and stays in the lower layer for as long as the layers above are unallocated.  So a
 * long hole in an overlay is looked up once, and the depth of a chain takes no stack.
 */
#ifndef QC_CHAIN_WALK_H
#define QC_CHAIN_WALK_H

#include "image/image.h"

struct qc_walk {
	struct qc_image *img;
	uint64_t at; /* guest offset of the next extent */
	unsigned int depth;
	uint64_t end[CHAIN_MAX]; /* the layers above layer i are unallocated up to end[i] */
	enum qc_grade_reason reason[CHAIN_MAX]; /* why that is doubtful */
};

struct qc_step {
	struct qc_layer *layer;
	struct goff at;		/* guest offset in this layer */
	struct qc_map_extent x; /* never QC_UNALLOCATED */
	enum qc_grade_reason reason; /* why the extent is not good, in a graded image.  With
				      * QC_DAMAGED: a reason that is set is the damage */
};

/* Begins a walk over [off, end) of the disk. */
static inline void qc_walk_begin(struct qc_walk *w, struct qc_image *img, uint64_t off,
				 uint64_t end)
{
	w->img = img;
	w->at = off;
	w->depth = img->top;
	w->end[img->top] = end;
	w->reason[img->top] = QC_REASON_NONE;
}

/*
 * qc_walk_step() - map the extent at w->at, and move behind it
 *
 * Context: in flight on img->layer[0]; w->at is before the end of the walk.
 * Return: 0; -EIO damaged tables, which are logged; -ESTALE another program changed the file
 */
qc_err qc_walk_step(struct qc_walk *w, struct qc_step *out);

#endif
