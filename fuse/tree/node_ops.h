/* SPDX-License-Identifier: MIT */
/*
 * node_ops.h - operations of nodes, and kinds of virtual files.
 *
 * To add a kind of virtual file beside each image (NAME.suffix, a file or a directory), write
 * one file in views/ with its operations and a provider, and register the provider at start-up.
 * Nothing in tree/ knows the kinds.
 */
#ifndef NODE_OPS_H
#define NODE_OPS_H

#include <stdbool.h>
#include <sys/stat.h>

struct listing;
struct name;
struct node;
struct node_info;
struct qc_image;
struct shared_buf;
struct tree;
struct tree_maker;

/* A NULL member: not for this kind.  Those that return int return 0 or -errno. */
struct node_ops {
	/* Of a directory. */
	int (*lookup)(struct tree *t, struct node *dir, const char *name, struct node **out);
	int (*list)(struct tree *t, struct node *dir, struct listing *out);
	int (*mkdir)(struct tree *t, struct node *dir, const char *name,
		     const struct tree_maker *by, struct node **out);
	int (*create)(struct tree *t, struct node *dir, const char *name,
		      const struct tree_maker *by, struct node **out);
	int (*symlink)(struct tree *t, struct node *dir, const char *name, const char *target,
		       struct node *base, const struct tree_maker *by, struct node **out);
	int (*unlink)(struct tree *t, struct node *dir, const char *name);
	int (*rmdir)(struct tree *t, struct node *dir, const char *name);
	int (*rename)(struct tree *t, struct node *dir, const char *name, struct node *to_dir,
		      const char *to);

	/* Of every node; ends with node_finish_attr(). */
	int (*getattr)(struct tree *t, struct node *n, struct stat *st);

	/* Fills *out for extended attributes; the caller frees it also after a failure. */
	int (*info)(struct tree *t, struct node *n, struct node_info *out);

	/* Of a file, one of both. */
	int (*open)(struct tree *t, struct node *n, bool write, struct qc_image **out);
	int (*open_text)(struct tree *t, struct node *n, struct shared_buf **out);

	/* The last reference is gone; n->last_ref_lock is held.  Returns true if the node is to be freed,
	 * and then nothing leads to it any more. */
	bool (*unused)(struct tree *t, struct node *n);

	/* Frees node.data. */
	void (*free)(struct node *n);
};

/* A kind of virtual file beside each image.  All members but `suffix` or `refresh` may be NULL. */
struct view_provider {
	/* Of NAME.raw the file is NAME<suffix>.  NULL: the provider adds names in refresh(). */
	const char *suffix;

	/* The files share bytes with the image, and both can be written. */
	bool writes_image;

	/*
	 * Makes the node of a name, with one reference; its `held` and `origin` are the image.
	 * tree.lock is held: no I/O.  NULL: no memory.
	 */
	struct node *(*make)(struct tree *t, struct name *view, struct node *image);

	/*
	 * Brings the names beside an image up to date, with name_add_view() and
	 * name_remove_view().  Called before its directory is listed, with no lock held.
	 * `*state` belongs to the provider and to this name of the image; first NULL.
	 */
	void (*refresh)(struct tree *t, struct name *of, struct node *image, void **state);

	/* Likewise before a lookup of `name` in a directory, for images it may be a view of. */
	void (*refresh_for)(struct tree *t, struct node *dir, const char *name);

	void (*free_state)(void *state);
};

#endif
