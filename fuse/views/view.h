/* SPDX-License-Identifier: MIT */
/*
 * view.h - the nodes beside an image: NAME.snapshots, NAME.chain and NAME.json, and
 * what is in them.
 *
 *	image <- NAME.snapshots <- SNAPSHOT <- disk.raw, vmstate
 *	image <- NAME.chain <- N-FILE.raw
 *	image <- NAME.json
 *
 * The first of each line are made with the image's node, and live as long as it
 * does.  All others are made when they are looked up, and are freed when nobody
 * refers to them.  While somebody refers to one, it has a reference of what it
 * points to above; so the image's node is not freed as long as any is in use.
 *
 * NAME.snapshots and NAME.chain keep what they read from the image, as rows.  A
 * row knows its node; a node whose row has gone is `gone`, and lives on among
 * those of its parent that lost their place.
 *
 * Locks: as for folders; what a snapshot is called in the image is under its
 * `facts`.
 */
#ifndef VIEW_H
#define VIEW_H

#include "tree/node.h"
#include "views/view_entries.h"
#include "util/shared_buf.h"

enum view_kind {
	VIEW_SNAPSHOTS,
	VIEW_CHAIN,
	VIEW_INFO,
	/* Up to here those of an image; node.h has room for so many. */
	VIEW_SNAPSHOT,
	VIEW_DISK,
	VIEW_VMSTATE,
	VIEW_LAYER,
	VIEW_PART, /* partition_files.h */
};

struct view {
	enum view_kind kind;
	struct node *image;
	struct node *above; /* of which it has a reference */
	atomic_bool gone;

	/* Of SNAPSHOTS and CHAIN; the node's lock. */
	struct view_entries rows;
	bool is_read;		 /* the rows are true for an image that is this: */
	struct identity read_of;
	int64_t read_at;	 /* ms */

	/* Of SNAPSHOT. */
	struct qc_snapshot *snapshot; /* facts; with its names in one piece */
	struct node *file[2];	      /* the node's lock; disk.raw, vmstate */

	/* Of LAYER. */
	unsigned int layer;
	char *path; /* of its file */
	_Atomic uint64_t size; /* of PART, too */

	/* Of PART; set when it is made. */
	unsigned int part;
	uint64_t start;

	/* Of INFO; facts. */
	struct shared_buf *text;
	int64_t made, stays; /* ms; until then its size must not change */
};

/* Makes those that the user wants for a new image, under names that nobody in its
 * folder has; where it replaces another, under the names of that one's.  -ENOMEM. */
int views_add(struct tree *t, struct node *image);
int views_transfer(struct tree *t, struct node *image, struct node *old);

/* Takes `shown`.  NULL: no memory. */
struct node *view_new(struct tree *t, struct node *parent, struct node *above,
		      enum view_kind kind, char *shown);
void view_free(struct node *n); /* its own part */

/* It has lost its place; the parent's lock is held. */
void view_detach(struct node *n);

/* One more reference, under the parent's lock. */
void view_ref(struct node *n);

/* Nobody refers to it any more; the parent's lock is held.  It may be freed. */
void view_release(struct node *n);

int view_lookup(struct tree *t, struct node *folder, const char *name, struct node **out);
int view_list(struct tree *t, struct node *folder, struct listing *out);
int view_stat(struct tree *t, struct node *n, struct stat *st);
int view_open(struct tree *t, struct node *n, bool write, struct qc_image **out);

/* By a clock that nobody sets. */
int64_t view_now_ms(void);

/* With its names, in one piece; NULL: no memory. */
struct qc_snapshot *view_entry_copy_snapshot(const struct qc_snapshot *s);

/* Brings the rows up to date; the folder's lock is held.  Through `img`, if not
 * NULL, they are read in any case. */
int view_read(struct tree *t, struct node *folder, struct qc_image *img);

/* The node of a row, made if need be, with one more reference; as above. */
int view_node_of(struct tree *t, struct node *folder, struct view_entry *row, struct node **out);

#endif
