/* SPDX-License-Identifier: MIT */
/*
 * cow_overlay.h - copy on write: images are opened read-only, and writes go to overlays.
 *
 * An image gets its overlay at its first open, also for reading: readers and writers must see
 * the same disk.  A temporary overlay is a file without a name (O_TMPFILE), or is
 * unlinked at once where the file system has no such files.  It lives as long as the
 * image's node, so that its data is there when the image is opened again.  The overlay FILE
 * (cow=FILE) is made, or continued, before the mount.
 *
 * Invariant: an overlay with data belongs to one state of its image.  If the image has changed
 * since, opening it fails.
 */
#ifndef COW_OVERLAY_H
#define COW_OVERLAY_H

#include <sys/stat.h>

#include "qcow.h"
#include "util/exit_status.h"

struct node;

/* The directory of a mount's overlays. */
struct cow {
	struct qc_context *ctx;
	int dirfd;  /* -1: the mount has no overlays */
	bool unlinks; /* a temporary overlay has a name until it is open */
	char *dir;  /* absolute path */
	char *file; /* name of FILE; NULL: the overlays are temporary */
};

/* Opens the directory.  `file` is the absolute path of FILE, or NULL.  Reports a failure. */
enum exitcode cow_overlay_begin(struct cow *c, const char *file);
void cow_overlay_end(struct cow *c);

/* The overlay of one image. */
struct cow_overlay;
void cow_overlay_free(struct cow_overlay *o); /* NULL is fine */

/*
 * cow_overlay_open() - open an image through its overlay
 * @n:      the image's node
 * @src:    the image file
 * @flags:  of qc_open(); for headers only, no overlay is made
 *
 * Return: as qc_open(); -EIO the image has changed under the data of its overlay.
 */
int cow_overlay_open(struct cow *c, struct node *n, const struct qc_image_location *src,
		     unsigned int flags, struct qc_image **out, struct qc_reason *why);

/* Stats the overlay's file; *used: it may have data.  False: there is no overlay. */
bool cow_overlay_stat(const struct node *n, struct stat *out, bool *used);

#endif
