/* SPDX-License-Identifier: MIT */
/*
 * image_file.h - the image file that a node, or one of its views, is of.
 */
#ifndef IMAGE_FILE_H
#define IMAGE_FILE_H

#include "tree/node.h"

/* Opens it as it is, without an overlay.  What open(2) is to say, with the reason in the
 * log; -ESTALE another file has taken its place. */
int image_file_open(struct tree *t, struct node *image, unsigned int flags, struct qc_image **out);

/* Likewise, through its overlay, if the mount has them. */
int image_file_open_cow(struct tree *t, struct node *image, unsigned int flags, struct qc_image **out);

/* What open(2) is to say of a part of it that cannot be opened: logged, too. */
int image_file_report(struct node *image, int r, const struct qc_reason *why);

/* The file's own attributes.  -ESTALE as above. */
int image_file_stat(struct tree *t, struct node *image, struct stat *st);

/* The owner and mode that the user wants to see, and the number; and remembers
 * all of it. */
void image_file_fill_attr(const struct tree *t, struct node *n, struct stat *st);

/* Of a file that is gone, but open: as it was.  -ESTALE if it is not. */
int image_file_last_attr(struct node *n, struct stat *st);

#endif
