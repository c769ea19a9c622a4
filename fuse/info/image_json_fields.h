/* SPDX-License-Identifier: MIT */
/* image_json_fields.h - the image that a JSON document describes. */
#ifndef IMAGE_JSON_FIELDS_H
#define IMAGE_JSON_FIELDS_H

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

#endif
