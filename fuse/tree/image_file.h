/* SPDX-License-Identifier: MIT */
/*
 * image_file.h - opening the image files of SOURCE.
 *
 * A file is opened by the first of its names that still leads to it.  Names that are no
 * symbolic links come first: the backing file of an image is looked for from the directory of
 * the name that it was opened by.
 */
#ifndef IMAGE_FILE_H
#define IMAGE_FILE_H

#include "tree/node.h"

/*
 * image_file_open() - open an image as it is, without its overlay
 * @flags:  of qc_open()
 *
 * Return: 0; -ESTALE no name leads to it any more; -EROFS it must not be written; -EBUSY,
 * -EACCES, -EIO: the reason is in the log.
 */
int image_file_open(struct tree *t, struct node *image, unsigned int flags, struct qc_image **out);

/* Likewise, through its overlay if the mount has overlays. */
int image_file_open_cow(struct tree *t, struct node *image, unsigned int flags,
			struct qc_image **out);

/* Opens the image for tree_open_first(). */
int image_file_open_first(struct tree *t, struct node *image, struct qc_image **out,
			  struct qc_reason *why);

/* Logs why a part of the image cannot be opened, and returns the error for open(2). */
int image_file_report(struct tree *t, struct node *image, int r, const struct qc_reason *why);

/* Returns a number that changes when the image's files were written since the last call. */
unsigned int image_file_write_version(struct node *image);

/* Opens an image file at a descriptor, for its headers only.  `flags` are added. */
int image_file_open_headers(struct tree *t, struct node *image, const char *path, int fd,
			    unsigned int flags, struct qc_image **out, struct qc_reason *why);

/* Keeps the image from being opened until image_file_end_removal(): opens fail with -ESTALE, and
 * look the name up again.  -EBUSY: a file of it is open, or being opened. */
int image_file_begin_removal(struct node *image);
void image_file_end_removal(struct node *image);

/* The headers of an image, usable or not. */
struct image_inspection {
	char *path;	       /* absolute */
	struct qc_image *img;  /* opened with QC_OPEN_INSPECT; NULL: nothing could be read */
	struct qc_image *live; /* the same, open otherwise: its snapshots change; NULL */
	bool failed;	       /* `why` says why it cannot be used */
	struct qc_reason why;
};

/* Fills *out; free it with image_file_inspection_end().  -ENOMEM. */
int image_file_inspect(struct tree *t, struct node *image, struct image_inspection *out);
void image_file_inspection_end(struct image_inspection *i);

#endif
