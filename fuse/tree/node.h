/* SPDX-License-Identifier: MIT */
/*
 * node.h - a file or directory of the mount, apart from its names: like the kernel's inode.
 *
 * The kernel knows a node by its inode number.  An image file of SOURCE has one node, however many
 * names lead to it, so that the kernel keeps one page cache for it.  name.h has the names.
 *
 * Lifetime: a directory of SOURCE lives as long as the tree; an image's node as long as it has
 * a name or a reference; every other node as long as it has a reference.  A node holds a
 * reference of `held`, so the image of a virtual file is never freed before the file.
 */
#ifndef NODE_H
#define NODE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "qcow.h"
#include "tree/byte_range.h"
#include "tree/identity.h"

struct node;
struct node_ops;
struct tree;

bool node_is_dir(const struct node *n);
bool node_is_text(const struct node *n); /* no image: text that is made when it is opened */
uint64_t node_ino(const struct node *n);
struct node *node_parent(const struct node *n); /* n is a directory */
void node_ref(struct node *n); /* the caller has a reference already */

/* Returns the image or directory of SOURCE that a node is, or belongs to. */
const struct node *node_origin(const struct node *n);

/* Closes an image that tree_open() opened. */
void node_close(struct node *n, struct qc_image *img);

/* Returns the part of the opened image that the file shows; len UINT64_MAX: to the disk's end. */
struct byte_range node_range(const struct node *n);

/* Returns the flag to set when the file has been written; NULL: a directory's file. */
atomic_bool *node_written_mark(const struct node *n);

/* Returns true if the same bytes can be written through another file of the mount: the file is a disk
 * or one of its partitions. */
bool node_shares_writes(const struct node *n);

/* Returns true if the file shows bytes that can be written through another file: it shares writes, or
 * it is a bitmap, for example. */
bool node_follows_writes(const struct node *n);

/*
 * node_content_version() - a number that changes when an open finds new content
 *
 * A file opened under an older version must fail: the kernel caches pages for both.
 */
unsigned int node_content_version(const struct node *n);

/*
 * node_new() - make a node with one reference, and give it an inode number
 * @wanted:  inode number; another one is chosen if a node of the tree has it
 * @held:    the new node takes a reference of it, which the caller need not have; or NULL
 *
 * Call with tree.lock held; where @held may lose its last reference, also with its last_ref_lock.
 * Return: the node; NULL: no memory.
 */
struct node *node_new(struct tree *t, const struct node_ops *ops, bool is_dir, uint64_t wanted,
		      struct node *held);

/* Makes the node of a directory or an image of SOURCE, with neither name nor reference.  Call
 * with tree.lock held.  NULL: no memory. */
struct node *node_new_of_dir(struct tree *t, const struct identity *id);
struct node *node_new_of_image(struct tree *t, const struct identity *id);

/* Drops references; a node with none left may be freed.  NULL is allowed. */
void node_forget(struct tree *t, struct node *n, uint64_t references);

/* Frees a node without a reference.  Call with tree.lock held. */
void node_free_locked(struct tree *t, struct node *n);

/* Returns an inode number for a part of `n` that is called by these bytes. */
uint64_t node_ino_of_part(const struct node *n, const void *part, size_t len);

/* Sets the inode number and the user's choices of owner and mode, and remembers all of it. */
void node_finish_attr(const struct tree *t, struct node *n, struct stat *st);

/* Gives the remembered attributes of a file that is still open, or -ESTALE. */
int node_last_attr(struct node *n, struct stat *st);

#endif
