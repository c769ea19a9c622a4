/* SPDX-License-Identifier: MIT */
/*
 * mirror_change.h - rename and remove images of SOURCE (-o create).
 *
 * An image that other images need is neither renamed nor removed.  Each function is the node_ops
 * member of its name for a directory of SOURCE.
 */
#ifndef MIRROR_CHANGE_H
#define MIRROR_CHANGE_H

struct node;
struct tree;

/* -EBUSY, after a message: other images need it, or it is in use.  -EPERM: it is no image. */
int mirror_change_unlink(struct tree *t, struct node *dir, const char *shown);

/* Renames an image.  An image that has the name @to is removed, as by mirror_change_unlink(). */
int mirror_change_rename(struct tree *t, struct node *dir, const char *shown, struct node *to_dir,
			 const char *to);

#endif
