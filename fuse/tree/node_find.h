/* SPDX-License-Identifier: MIT */
/*
 * node_find.h - find a node by its inode number.
 *
 * The table of nodes has those that are in use, and all images and directories that a scan has
 * found.  Others are found by listing: an inode number is a hash, and does not tell where the
 * file is.
 */
#ifndef NODE_FIND_H
#define NODE_FIND_H

#include <stdint.h>

struct node;
struct tree;

/* Returns the node with an inode number, which has a reference; else NULL. */
struct node *node_find(struct tree *t, uint64_t ino);

/*
 * node_find_anywhere() - find the node with an inode number, which need not have a reference
 *
 * A file handle, as an NFS server has one, holds nothing but this number.  The node may have been
 * forgotten, or not looked up since the daemon was started.  Then all directories are listed.
 * *out has a reference.  Return: 0; -ESTALE there is none; -ENOMEM.
 */
int node_find_anywhere(struct tree *t, uint64_t ino, struct node **out);

#endif
