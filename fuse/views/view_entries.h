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

struct row {
	char *shown;
	uint64_t ino;
	const struct qc_snapshot *snapshot;
	unsigned int layer;
	char *path;	   /* of the layer's file */
	uint64_t size;	   /* of its disk */
	struct node *node; /* if somebody refers to it */
};

struct rows {
	size_t n;
	struct row *at;	    /* in the order of their names */
	struct row **by_ino; /* in that of their numbers */
	struct qc_snapshots snapshots;
};

/* Reads them anew; `seed` goes into the numbers.  What the core says, or -ENOMEM. */
int rows_of_snapshots(struct qc_image *img, uint64_t seed, struct rows *out);
int rows_of_chain(struct qc_image *img, uint64_t seed, struct rows *out);
void rows_free(struct rows *r);

/* NULL: there is none. */
struct row *rows_find(const struct rows *r, const char *shown);
struct row *rows_find_ino(const struct rows *r, uint64_t ino);

#endif
