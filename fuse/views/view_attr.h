/* SPDX-License-Identifier: MIT */
/*
 * view_attr.h - attributes of virtual files and directories.
 *
 * Owner, times and blocks are those of the image file.  A getattr operation is:
 * view_attr_begin(), changes, view_attr_end().
 */
#ifndef VIEW_ATTR_H
#define VIEW_ATTR_H

#include "tree/tree.h"

/* Fills *st from the image file.  -ESTALE: the image is gone. */
int view_attr_begin(struct tree *t, struct node *n, struct stat *st);

/* Makes it a directory; a writable one gets the image's write bits, unless the mount is ro. */
void view_attr_make_dir(const struct tree *t, bool writable, struct stat *st);

/* Makes it a file of this size, with those mode bits of the image that are in `mask`. */
void view_attr_make_file(uint64_t size, mode_t mask, struct stat *st);

/* Ends a getattr that has come to the result r.  A file that is open, but gone, is as it was. */
int view_attr_end(struct tree *t, struct node *n, int r, struct stat *st);

#endif
