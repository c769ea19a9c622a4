/* SPDX-License-Identifier: MIT */
/*
 * made_text.h - a text file beside an image that takes long to make.
 *
 * The text is made when the file is first opened, and kept until the image file changes.  Before
 * that its size is 0, as of files in /proc: listing costs nothing.
 */
#ifndef MADE_TEXT_H
#define MADE_TEXT_H

#include "qcow.h"
#include "tree/node_ops.h"

/* Makes the text, to be freed.  Return: 0; -errno, and the log has the reason. */
typedef int made_text_fn(struct qc_image *img, char **text, size_t *len);

extern const struct node_ops made_text_ops;

/* Makes the node of a name beside an image; for view_provider.make. */
struct node *made_text_new(struct tree *t, made_text_fn *make, struct name *view,
			   struct node *image);

#endif
