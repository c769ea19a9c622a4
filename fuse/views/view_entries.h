/* SPDX-License-Identifier: MIT */
/*
 * view_entries.h - what NAME.snapshots or NAME.chain holds, as it was read from the image.
 *
 * A row is the same as one of an earlier reading if its number is: a snapshot's is
 * made of its id, date and place, so that it keeps its number under another name,
 * and one that is made anew gets another; a layer's of its place in the chain,
 * and its path.
 */
#ifndef VIEW_ENTRIES_H
#define VIEW_ENTRIES_H

#include "qcow.h"

struct node;

enum { INO_STEP = 4 }; /* a row's own number, and three for files in it */

struct view_entry {
	char *shown;
	uint64_t ino;
	const struct qc_snapshot *snapshot;
	unsigned int layer;
	char *path;	   /* of the layer's file */
	uint64_t size;	   /* of its disk */
	struct node *node; /* if somebody refers to it */
};

struct view_entries {
	size_t n;
	struct view_entry *at;	    /* in the order of their names */
	struct view_entry **by_ino; /* in that of their numbers */
	struct qc_snapshots snapshots;
};

/* Reads them anew; `seed` goes into the numbers.  What the core says, or -ENOMEM. */
int view_entries_of_snapshots(struct qc_image *img, uint64_t seed, struct view_entries *out);
int view_entries_of_chain(struct qc_image *img, uint64_t seed, struct view_entries *out);
void view_entries_free(struct view_entries *r);

/* NULL: there is none. */
struct view_entry *view_entries_find(const struct view_entries *r, const char *shown);
struct view_entry *view_entries_find_ino(const struct view_entries *r, uint64_t ino);

#endif
