/* SPDX-License-Identifier: MIT */
/*
 * cow_overlay.h - copy on write: images are opened for reading, and what is written goes to
 * an overlay of each.
 *
 * An image gets its overlay when it is first opened, whatever for: who reads and who
 * writes must see the same disk.  A temporary one is a file without a name, and lives
 * as long as the image's node, so what was written is there when the image is opened
 * again.  FILE is made, or gone on with, before anything is mounted.
 *
 * What is in an overlay is right over one state of the image only.  Once something may
 * have been written to it, the image is refused when it is another.
 */
#ifndef COW_OVERLAY_H
#define COW_OVERLAY_H

#include <sys/stat.h>

#include "util/exit_status.h"
#include "qcow.h"

struct node;

/* Where a mount has its overlays. */
struct cow {
	struct qc_context *ctx;
	int dirfd; /* -1: it has none */
	char *dir; /* absolute */
	char *file; /* of FILE; NULL: they are temporary */
};

/* `file` is absolute, or NULL.  On failure it has said why. */
enum exitcode cow_overlay_begin(struct cow *c, const char *file);
void cow_overlay_end(struct cow *c);

/* The image's overlay, of a node. */
struct cow_overlay;
void cow_overlay_free(struct cow_overlay *o); /* or NULL */

/* Opens the image at `src`, which the node stands for, through its overlay.  To peek at
 * it, none is made. */
int cow_overlay_open(struct cow *c, struct node *n, const struct qc_image_location *src, unsigned int flags,
	     struct qc_image **out, struct qc_reason *why);

/* The file that the overlay is, if there is one; and whether something may be in it. */
bool cow_overlay_stat(const struct node *n, struct stat *out, bool *used);

#endif
