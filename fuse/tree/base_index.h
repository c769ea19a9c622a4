/* SPDX-License-Identifier: MIT */
/*
 * base_index.h - which images of SOURCE are backing files of others.
 *
 * Asked before an image is opened for writing: a change of a backing file would ruin its
 * overlays.  An image is a backing file if one of its names in SOURCE is the path in another
 * image's header (backing_path.h), or if such a path leads to its file.
 *
 * The paths are resolved to files when an image is next opened for writing, and not in the scan:
 * a backing file that another file replaced would be missed, since its overlays do not change
 * then.  So the arrays are built anew after names or images of the tree have changed.
 */
#ifndef BASE_INDEX_H
#define BASE_INDEX_H

#include "qcow.h"

struct base_index;
struct node;
struct tree;

struct base_index *base_index_new(void); /* NULL: no memory */
void base_index_free(struct base_index *b); /* NULL is allowed */

/*
 * base_index_check_write() - whether an image may be written
 *
 * Scans the directories of the image, and those above them, if entries came or went.  Overlays
 * in other directories count as they were when those were last scanned.
 *
 * Return: 0; -EROFS it is a backing file, and *why names one of its overlays; -ENOMEM.
 */
int base_index_check_write(struct tree *t, struct node *image, struct qc_reason *why);

/* Does the same without a scan: as the directories were when they were last scanned. */
int base_index_find_overlay(struct tree *t, struct node *image, struct qc_reason *why);

/*
 * base_index_list_users() - find the images that need an image as backing file or data file
 * @text:  out: their paths in SOURCE, as many as fit in @n bytes
 *
 * Scans all directories of SOURCE in which entries came or went.
 * Return: 0 there are none; -EBUSY; -ENOMEM.
 */
int base_index_list_users(struct tree *t, struct node *image, char *text, size_t n);

#endif
