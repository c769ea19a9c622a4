/* SPDX-License-Identifier: MIT */
/*
 * mirror_subdir.h - open directories of SOURCE, and with -o create make and remove them.
 */
#ifndef MIRROR_SUBDIR_H
#define MIRROR_SUBDIR_H

#include "tree/tree_maker.h"

struct node;
struct tree;

/* Opens a directory, with O_RDONLY or O_PATH.  Takes tree.lock.  Returns a descriptor; -errno. */
int mirror_subdir_open(struct tree *t, const struct node *dir, int flags);

/* The node_ops members mkdir and rmdir of a directory of SOURCE. */
int mirror_subdir_make(struct tree *t, struct node *dir, const char *shown,
		       const struct tree_maker *by, struct node **out);
int mirror_subdir_remove(struct tree *t, struct node *dir, const char *shown);

#endif
