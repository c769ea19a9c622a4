/* SPDX-License-Identifier: MIT */
/* image_attr.h - the attributes of an image: size of the disk, the rest of its file. */
#ifndef IMAGE_ATTR_H
#define IMAGE_ATTR_H

#include "tree/node.h"

/* Gives the attributes of the file itself.  -ESTALE: no name leads to it any more. */
int image_attr_stat_file(struct tree *t, struct node *image, struct stat *st);

/* Gives the attributes of the raw file; node_ops.getattr of an image. */
int image_attr_get(struct tree *t, struct node *image, struct stat *st);

#endif
