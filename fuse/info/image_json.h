/* SPDX-License-Identifier: MIT */
/*
 * image_json.h - an image as JSON: the keys of `qemu-img info --output=json`, and an object
 * "qcowfs" for the rest.
 *
 * Used for NAME.json in the mount and by `qcowfs info --json`.  Keys whose value is not known,
 * because the image is damaged, are left out.
 */
#ifndef IMAGE_JSON_H
#define IMAGE_JSON_H

#include <jansson.h>

#include "qcow.h"

/* Lists the names of the snapshots in the mount, in the order of the table.  The caller frees
 * each name and the array.  Return: 0; -ENOMEM. */
typedef int info_shown_fn(const struct qc_snapshots *s, char ***out);

struct info {
	const char *path;     /* of the image file, absolute */
	struct qc_image *img; /* opened with QC_OPEN_INSPECT; NULL: nothing could be read */
	unsigned int layer; /* file of its chain that is described; snapshots only of the first */
	struct qc_image *live; /* the same image opened for reading, whose snapshots are up to date;
				* NULL: take those of `img` */
	const char *error;     /* why it cannot be used; NULL */
	struct qc_counters counters; /* of all images */
	info_shown_fn *shown;	     /* NULL: snapshots are not shown in the mount */
};

/* Returns the document; to be freed with json_decref().  NULL: out of memory. */
json_t *image_json(const struct info *info);

/* Returns the document as text with a newline at its end, to be freed with free().  NULL: out
 * of memory. */
char *image_json_text(const struct info *info, size_t *len);

#endif
