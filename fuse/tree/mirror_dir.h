/* SPDX-License-Identifier: MIT */
/* mirror_dir.h - a directory of SOURCE, as a node. */
#ifndef MIRROR_DIR_H
#define MIRROR_DIR_H

#include "tree/node_ops.h"

extern const struct node_ops mirror_dir_ops;

/* Syncs the directory in SOURCE.  Return: 0; as fsync(2). */
int mirror_dir_sync(struct tree *t, struct node *dir);

/* Calls p->refresh() for one image of a directory, found by its name in the mount. */
void mirror_dir_refresh_view_of(struct tree *t, const struct view_provider *p, struct node *dir,
				const char *image);

/* Likewise for all images of the directory. */
void mirror_dir_refresh_views(struct tree *t, const struct view_provider *p, struct node *dir);

#endif
