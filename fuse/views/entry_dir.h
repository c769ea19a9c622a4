/* SPDX-License-Identifier: MIT */
/*
 * entry_dir.h - a virtual directory whose entries are read from the image.
 *
 * The entries are read again when the image file has changed.  An entry is the same as one of
 * an earlier reading if its key is the same, also under another name; then it keeps its node.
 * A node whose entry is gone is detached.
 *
 * The directory's lock (node_dir.lock) is held over all of it.
 */
#ifndef ENTRY_DIR_H
#define ENTRY_DIR_H

#include "tree/listing.h"
#include "views/entry_data.h"
#include "views/view.h"

struct dir_entry {
	char *shown;	   /* name in the mount; no other entry has it */
	bool hidden;	   /* it is found by its name, and not listed */
	uint64_t key;	   /* tells the entry from all others; changed where two have the same */
	void *data;	   /* of entry_data_new() */
	struct node *node; /* NULL: without a reference */
};

struct dir_entries {
	size_t n;
	struct dir_entry *at;	   /* by name */
	struct dir_entry **by_key; /* made by entry_dir.c */
};

struct entry_dir_kind {
	/* Fills out->at and out->n from the image.  On failure the caller frees *out. */
	int (*read)(struct qc_image *img, struct dir_entries *out);

	/* Makes the node of an entry, with view_new_below(); -ENOMEM. */
	int (*make)(struct tree *t, struct node *dir, const struct dir_entry *e,
		    struct node **out);

	/* The entry of a node was read again; takes a reference of `data`.  May be NULL. */
	void (*update)(struct node *n, void *data);

	/* For so long an unchanged image is not read again, in milliseconds; 0: for ever. */
	int64_t valid_ms;

	bool costly; /* a listing, too, takes the entries of an unchanged image as they are */

	bool writable; /* names are made in the directory, as the image's write bits say */
};

/* Makes the node of a directory beside an image; for view_provider.make. */
struct node *entry_dir_new(struct tree *t, const struct node_ops *ops,
			   const struct entry_dir_kind *kind, struct name *view,
			   struct node *image);

/* Operations of the directory. */
int entry_dir_lookup(struct tree *t, struct node *dir, const char *name, struct node **out);
int entry_dir_list(struct tree *t, struct node *dir, struct listing *out);
int entry_dir_getattr(struct tree *t, struct node *dir, struct stat *st);
void entry_dir_free(struct node *dir);

/* An operation of the nodes of entries. */
bool entry_dir_entry_unused(struct tree *t, struct node *n);

/* For nodes whose node.data is the data of the entry, under the node's attr_lock: makes one, for
 * entry_dir_kind.make; returns its data with one reference; replaces it, for
 * entry_dir_kind.update; and frees it. */
int entry_dir_node_new(struct tree *t, const struct node_ops *ops, bool is_dir, struct node *dir,
		       const struct dir_entry *e, struct node **out);
void *entry_dir_node_data(struct node *n);
void entry_dir_node_update(struct node *n, void *data);
void entry_dir_node_free(struct node *n);

/* For changes, with the directory's lock held: reads the entries, from `img` in any case, if
 * that is not NULL; finds one; returns its node with one more reference; and lets the next
 * reader read again. */
int entry_dir_read(struct tree *t, struct node *dir, struct qc_image *img);
struct dir_entry *entry_dir_find(struct node *dir, const char *name);
int entry_dir_ref_node(struct tree *t, struct node *dir, struct dir_entry *e, struct node **out);
void entry_dir_expire(struct node *dir);

#endif
