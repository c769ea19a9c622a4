/* SPDX-License-Identifier: MIT */
/*
 * view.h - helpers for kinds of virtual files.
 *
 * A virtual file or directory beside an image is a node whose `origin` and `held` are the image;
 * a node below it has the same `origin`, and holds the directory.
 */
#ifndef VIEW_H
#define VIEW_H

#include "tree/name.h"

/* Makes the node of a name beside an image, with one reference; for view_provider.make. */
struct node *view_new(struct tree *t, const struct node_ops *ops, bool is_dir, struct name *view,
		      struct node *image);

/*
 * view_new_below() - make the node of a file or directory in a virtual directory
 * @part:  bytes that tell it from others of the directory; they make its inode number
 *
 * The directory's lock is held.  Return: the node, with one reference; NULL: no memory.
 */
struct node *view_new_below(struct tree *t, const struct node_ops *ops, bool is_dir,
			    struct node *dir, const void *part, size_t len);

/* Opens a part of an open image.  -ESTALE: the image has no such part any more. */
typedef int view_part_fn(struct node *n, struct qc_image *img, struct qc_image **out,
			 struct qc_reason *why);

/* Opens the image for reading, and a part of it: node_ops.open of read-only files. */
int view_open_part(struct tree *t, struct node *n, bool write, view_part_fn *open_part,
		   struct qc_image **out);

/* Returns milliseconds of a clock that is never set. */
int64_t view_now_ms(void);

#endif
