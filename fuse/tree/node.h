/* SPDX-License-Identifier: MIT */
/*
 * node.h - one name in the mount: a folder, an image, or a view of one (view.h,
 * partition_files.h).
 *
 * A folder's children change only under its lock, in a scan.  A child is found by the
 * name it is shown under, and by that of its file.  When its file goes it stays, `gone`,
 * since its name may not be given to another; when another file takes that place, a new
 * node takes over the name, and the old one lives on for as long as somebody refers to it.
 *
 * Locks: a folder's `scanning`, its `lock`, then a node's `over_lock`, then `facts`; never
 * two of a kind.
 */
#ifndef NODE_H
#define NODE_H

#include <pthread.h>
#include <stdatomic.h>

#include "tree/tree.h"

/* By this we see that a file is no longer the one that we looked into. */
struct identity {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime, ctime;
};

enum { IMAGE_VIEWS = 3 };

struct cow_overlay;
struct view;
struct partition_files;

struct node {
	uint64_t ino;
	bool folder;
	struct node *parent;
	struct view *view; /* view.h; NULL: it is something in SOURCE */
	char *file;  /* name in SOURCE */
	char *shown; /* name in the mount */
	_Atomic uint64_t references;

	/* The parent's lock. */
	bool gone;
	bool detached; /* freed with its last reference */
	struct node *next; /* among the replaced, or the partitions of an image */
	unsigned int seen; /* in this scan */
	struct identity checked; /* when it was last known to be an image; dev and ino are
				  * set when it is made, and read without a lock */

	/* Of a folder. */
	pthread_mutex_t lock;
	void *by_shown, *by_file; /* lock; trees of tsearch(3) */
	void *views;		  /* lock; of its images, by the name shown */
	pthread_mutex_t scanning; /* one scan at a time */
	unsigned int scans;	  /* scanning */
	struct node *replaced;	  /* lock; children that lost their place */

	/* Of an image. */
	struct node *view_of[IMAGE_VIEWS]; /* those beside it; set when it is made */
	struct partition_files *parts; /* partition_files.h; NULL: they are not shown */
	pthread_mutex_t over_lock; /* before facts: opening through the overlay */
	struct cow_overlay *_Atomic overlay; /* cow_overlay.h; made under over_lock, and stays */
	pthread_mutex_t facts; /* for all below */
	bool probed;
	struct identity probed_at;
	int error;   /* 0: usable, when it was probed */
	uint64_t size;
	uint32_t cluster;
	unsigned int opens;
	atomic_uint generation; /* of its content; read without a lock, too */
	struct stat last; /* what was last said of it */
	bool stamped;
	struct qc_fingerprint stamp; /* at the last open */
	char *said; /* the last reason we logged; NULL: none */
	bool no_key; /* was that reason */
};

struct tree {
	struct qc_context *ctx;
	const struct source *src;
	struct tree_config look;
	struct node *root;
	struct node *only; /* the image, where SOURCE is one */
	_Atomic uint64_t last_ino;
	uint64_t seed; /* of numbers that are made otherwise */
};

struct identity identity_of(const struct stat *st);
bool identity_same_file(const struct identity *a, const struct identity *b);
bool identity_same_content(const struct identity *a, const struct identity *b);

/* Whether a later change would be seen by the file's times. */
bool identity_times_reliable(const struct identity *id);

/* Takes `shown`, even if it fails: then NULL. */
struct node *node_new(struct tree *t, struct node *parent, const char *file, char *shown,
		      bool folder);
void node_free(void *n); /* and all below it */

struct node *node_find_shown(struct node *folder, const char *name);
struct node *node_find_view(struct node *folder, const char *name);
struct node *node_find_file(struct node *folder, const char *name);

/* Calls `each` with all nodes of one of a folder's trees, in their order; under its lock. */
void node_each(const void *nodes, void (*each)(struct node *, void *), void *arg);

/* The path in SOURCE, to be freed; "" for the root of a folder. */
char *node_path(const struct node *n);

/* A new child, under a name that nobody in the folder has had.  -ENOMEM. */
int node_add(struct tree *t, struct node *folder, const char *file, bool is_folder,
	     const struct identity *checked);

/* The name of an image less .raw, and an ending, as often as it takes; for a view,
 * to be freed.  NULL: no memory. */
char *node_free_name(struct node *folder, const char *shown, const char *ending);

/* The view is found by its name, and none that was before.  -ENOMEM, but not if it
 * takes the place of one. */
int node_index_view(struct node *folder, struct node *view);
void node_unindex_view(struct node *folder, struct node *view);

/* The image that a file of this name was before a folder took its place. */
struct node *node_find_former(struct node *folder, const char *file);

/* Another file has come into the place of the node's.  -ENOMEM. */
int node_replace(struct tree *t, struct node *old, const struct identity *checked);

/* Frees a node that lost its place, unless somebody refers to it. */
void node_drop_if_unused(struct node *n);

#endif
