/* SPDX-License-Identifier: MIT */
/*
 * image_json.h - what NAME.json says: the keys of `qemu-img info --output=json`, and an
 * object "qcowfs" for the rest.
 */
#ifndef IMAGE_JSON_H
#define IMAGE_JSON_H

#include <jansson.h>

#include "qcow.h"

struct tree;
struct node;

/* What snapshots are called in the mount, in the order of the table: each to be freed,
 * and the array, too.  -ENOMEM. */
typedef int info_shown_fn(const struct qc_snapshots *s, char ***out);

struct info {
	const char *path;     /* of the image file, absolute */
	struct qc_image *img; /* opened with QC_OPEN_INSPECT; NULL: nothing could be read */
	unsigned int layer; /* file of its chain that is described; snapshots only of the first */
	struct qc_image *live; /* opened otherwise: its snapshots are those that change; NULL */
	const char *error;     /* why it cannot be used; NULL */
	struct qc_counters counters; /* of all images */
	info_shown_fn *shown;	     /* NULL: they are not shown */
};

/* Returns the document; to be freed with json_decref().  NULL: out of memory. */
json_t *image_json(const struct info *info);

/* The text, with a newline at its end; malloc'd.  NULL: out of memory. */
char *image_json_text(const struct info *info, size_t *len);

/* The same, of an image in the tree (image_file.c). */
char *info_json(struct tree *t, struct node *image, size_t *len);

#endif
