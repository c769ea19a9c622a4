/* SPDX-License-Identifier: MIT */
/* file_owner.h - change owner and mode of the files and directories of SOURCE (-o create). */
#ifndef FILE_OWNER_H
#define FILE_OWNER_H

#include "tree/tree_maker.h"

struct node;
struct tree;

/* Does the work of tree_set_owner(). */
int file_owner_set(struct tree *t, struct node *n, const struct tree_maker *to);

#endif
