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

/* Finds the image that the target of a link leads to.  *out has a reference.  Return: 0; -EPERM there
 * is none; -ENOMEM. */
int clone_image_find_base(struct tree *t, struct node *dir, const char *target, struct node **out);

/* Makes the overlay @shown of the image @base, or refuses if that is NULL; node_ops.symlink of a
 * directory of SOURCE.  *out: a node of a symbolic link, with a reference. */
int clone_image_make(struct tree *t, struct node *dir, const char *shown, const char *target,
		     struct node *base, const struct tree_maker *by, struct node **out);

#endif
