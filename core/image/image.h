/* SPDX-License-Identifier: MIT */
/*
 * image.h - an open image: a chain of layers, and the disk that is read from it.
 */
#ifndef QC_IMAGE_H
#define QC_IMAGE_H

#include "layer/cluster_map.h"
#include "image/layer_table.h"
#include "rescue/grade.h"

struct qc_gather;
struct qc_image;

/* Reads an image that shows other bytes than those of a disk.  A request calls them in flight. */
struct qc_image_bytes_ops {
	bool size_of_disk; /* it is as long as the disk, also after a resize; else img->size */
	qc_err (*read)(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len);
	qc_err (*block_status)(struct qc_image *img, uint64_t off, struct qc_extent *out);
	void (*free)(void *state);
};

struct qc_image {
	struct qc_context *ctx;
	bool headers_only, inspect, no_backing, writable;
	unsigned int depth;
	struct qc_layer *layer[CHAIN_MAX]; /* [0] is the image itself */

	/* The disk is read from layers [top, bottom): from all of them, or from fewer for
	 * another disk of the same files (snapshot_open.c). */
	unsigned int top, bottom;
	bool of_snapshot; /* layer[0] is read through the L1 table `root`, from `base` on */
	struct qc_l1_table root;
	uint64_t base, size;
	struct qc_pin pin; /* of a snapshot or a bitmap */

	struct qc_gather *gather; /* parts of a cluster that wait (gather.h); NULL */

	/* NULL: a disk.  Else bytes that these functions find with their state. */
	const struct qc_image_bytes_ops *bytes_ops;
	void *bytes_state;

	/* With qc_config.rescue. */
	bool backing_missing; /* the last layer names a backing file that could not be opened */
	const struct qc_grade_map *grades[CHAIN_MAX]; /* of each layer's disk; NULL: not graded */
	struct qc_grade_map *own_grades; /* of the snapshot, also in grades[0]; NULL */
};

/* Makes another image of the same layers, to be closed as any.  Returns NULL if there is no
 * memory. */
struct qc_image *qc_open_share(struct qc_image *img);

/* Makes an image of qc_open_share() read something else.  After a failure it is closed. */
typedef qc_err qc_view_fn(struct qc_image *v, const void *arg, struct qc_reason *why);

/*
 * qc_open_view() - open a snapshot or a bitmap as an image of the same layers
 * @begin:  called in flight, so that nothing is deleted between its lookup and its pin
 * @out:    set on success
 *
 * Return: 0; -EINVAL @img was opened for its headers only; -ENOMEM; that of @begin
 */
qc_err qc_open_view(struct qc_image *img, qc_view_fn *begin, const void *arg, struct qc_image **out,
		    struct qc_reason *why);

/* Checks that the image, of which only headers were read, could be opened now.
 * Return: 0; -EBUSY another program, or this one, uses a file of the chain. */
qc_err qc_image_in_use(struct qc_image *img, struct qc_reason *why);

#endif
