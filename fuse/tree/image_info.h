/* SPDX-License-Identifier: MIT */
/* image_info.h - description of the files of an image's chain, for extended attributes. */
#ifndef IMAGE_INFO_H
#define IMAGE_INFO_H

#include "tree/node_info.h"

struct node;
struct tree;

/*
 * image_info_of_layer() - describe one file of an image's chain
 * @number:  0: the image itself
 * @path:    absolute; the file must still have it.  NULL: any
 *
 * Reads the headers.  What they do not tell is missing in *@out.
 * Return: 0; -ENOMEM; -ESTALE the chain has another file there.
 */
int image_info_of_layer(struct tree *t, struct node *image, unsigned int number,
			 const char *path, struct node_info *out);

/* Describes the image; node_ops.info of an image. */
int image_info_get(struct tree *t, struct node *image, struct node_info *out);

#endif
