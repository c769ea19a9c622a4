/* SPDX-License-Identifier: MIT */
/*
 * layer_names.h - the files of a chain as the user and the images name them.
 *
 * qemu-img shows names relative to the path on the command line, and core knows absolute paths.
 */
#ifndef LAYER_NAMES_H
#define LAYER_NAMES_H

#include "commands/common.h"

struct layer_names {
	struct qc_image *img;
	char **file, **data; /* of each layer; data is NULL without an external data file */
};

/* Finds the names.  @path: that of the image.  Return: 0; -ENOMEM.  To be freed also then. */
qc_err layer_names_find(struct layer_names *names, struct qc_image *img, const char *path);
void layer_names_free(struct layer_names *names);

/* Returns the name of the file that has a mapping. */
const char *layer_names_of(const struct layer_names *names, const struct qc_mapping *m);

#endif
