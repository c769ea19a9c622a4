/* SPDX-License-Identifier: MIT */
/*
 * clone_image.h - make an overlay of an image by a symbolic link (-o create).
 *
 * The kernel takes only a symbolic link for the answer to symlink(2).  So it gets a node that is
 * one, and asks for the name again when it is next used.
 */
#ifndef CLONE_IMAGE_H
#define CLONE_IMAGE_H

#include "tree/tree_maker.h"

struct node;
struct tree;

/* Makes the overlay @shown of the image that @target leads to; node_ops.symlink of a directory of
 * SOURCE.  *out: a node of a symbolic link, with a reference. */
int clone_image_make(struct tree *t, struct node *dir, const char *shown, const char *target,
		     const struct tree_maker *by, struct node **out);

#endif
