/* SPDX-License-Identifier: MIT */
/*
 * make_image.h - make image files in a directory of SOURCE (-o create).
 *
 * A file is written whole before it gets its name, so a name never leads to half an image.  A file
 * system that has no files without names gets a file that becomes an image with its last write.
 */
#ifndef MAKE_IMAGE_H
#define MAKE_IMAGE_H

#include "tree/tree_maker.h"

struct image_paths;
struct node;
struct qc_create_options;
struct tree;

/* Makes an empty image; node_ops.create of a directory of SOURCE. */
int make_image_create(struct tree *t, struct node *dir, const char *shown,
		      const struct tree_maker *by, struct node **out);

/*
 * make_image_file() - make an image
 * @o:      its options
 * @paths:  of the files that it needs; consumed
 * @out:    its node, with a reference
 *
 * Return: 0; as tree_create().
 */
int make_image_file(struct tree *t, struct node *dir, const char *shown,
		    const struct tree_maker *by, struct qc_create_options *o,
		    struct image_paths *paths, struct node **out);

#endif
