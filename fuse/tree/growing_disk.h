/* SPDX-License-Identifier: MIT */
/*
 * growing_disk.h - the size of a new disk, as long as it grows.
 *
 * With -o create an image of 0 bytes that is opened for writing grows by being written, like a
 * regular file, until all its open files are closed.  From then on it is a disk.  Its size in
 * bytes is in the node.  The image has this size rounded up to whole sectors, in its
 * file whenever tables are written.  So nothing is left to do when the last file is closed, and a
 * daemon that dies leaves the size of the last checkpoint.
 *
 * Invariant: bytes of the image behind grown_size are zeros.
 *
 * The kernel makes one call at a time that changes the size of a file.
 */
#ifndef GROWING_DISK_H
#define GROWING_DISK_H

#include <stdbool.h>
#include <stdint.h>

struct node;
struct qc_image;

/* Lets the disk grow if it has 0 bytes.  Call it when the open has been counted. */
void growing_disk_begin(struct node *n, struct qc_image *img);

bool growing_disk_is_growing(const struct node *n);
uint64_t growing_disk_size(const struct node *n);

/* Makes the image large enough for a change that ends at @end.  Return: as qc_grow(). */
int growing_disk_reserve(struct qc_image *img, uint64_t end);

/* Sets the size to @end, unless it is larger: the change has been made. */
void growing_disk_extend(struct node *n, uint64_t end);

/* Makes what a change that failed may have left behind the end read as zeros. */
void growing_disk_undo(const struct node *n, struct qc_image *img);

/* Sets the size, as ftruncate(2).  Return: as qc_resize(). */
int growing_disk_truncate(struct node *n, struct qc_image *img, uint64_t size);

#endif
