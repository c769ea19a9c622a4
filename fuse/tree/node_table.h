/* SPDX-License-Identifier: MIT */
/*
 * node_table.h - all nodes of a tree by inode number, and images by the file they are.
 *
 * Two hash tables with chains through the nodes.  Call with tree.lock held.
 */
#ifndef NODE_TABLE_H
#define NODE_TABLE_H

#include <stdint.h>
#include <sys/types.h>

struct node;
struct node_table;

struct node_table *node_table_new(void); /* NULL: no memory */
void node_table_free(struct node_table *t); /* NULL is allowed */

/* Adds a node under its inode number, or the next one that is free, which it gets.  Zero and 1,
 * the kernel's number of the root, are never used.  Grows the tables if there is memory. */
void node_table_add(struct node_table *t, struct node *n);
void node_table_remove(struct node_table *t, struct node *n);
struct node *node_table_find(const struct node_table *t, uint64_t ino); /* NULL: none */
struct node *node_table_any(struct node_table *t); /* NULL: none; nothing is added any more */

void node_table_add_image(struct node_table *t, struct node *image);
void node_table_remove_image(struct node_table *t, struct node *image);
struct node *node_table_find_image(const struct node_table *t, dev_t dev, ino_t ino);

/* Calls each() with all images. */
void node_table_for_each_image(const struct node_table *t,
			       void (*each)(struct node *, void *), void *arg);

#endif
