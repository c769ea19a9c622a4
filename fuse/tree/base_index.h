/* SPDX-License-Identifier: MIT */
/*
 * base_index.h - which images of SOURCE are backing files of others.
 *
 * Asked before an image is opened for writing: a change of a backing file would ruin its
 * overlays.  A scan reads the path of the backing file from each image's header, along with the
 * magic.  An image is a backing file if one of its names in SOURCE is such a path, or if such a
 * path leads to its file.
 *
 * The paths are resolved to files when an image is next opened for writing, and not in the scan:
 * a backing file that another file replaced would be missed, since its overlays do not change
 * then.  So the arrays are built anew after names or images of the tree have changed.
 */
#ifndef BASE_INDEX_H
#define BASE_INDEX_H

#include <pthread.h>

#include "tree/node.h"

struct base_user;

struct base_index {
	pthread_mutex_t lock; /* before tree.lock */
	struct base_user *at; /* lock; sorted by the backing file's device and inode */
	const struct base_user **by_path; /* lock; sorted by its path */
	size_t n;	      /* lock; of both */
	bool stale;	      /* tree.lock; the array must be built anew */
};

void base_index_init(struct base_index *b);
void base_index_destroy(struct base_index *b);

/* Whether the mount can write images, and must not write backing files. */
bool base_index_is_needed(const struct tree *t);

/* Returns the path of an image's backing file, to be freed: absolute, or below SOURCE.  `dir` is
 * the image's directory in SOURCE, "" or with a slash at its end.  NULL: none, or no path. */
char *base_index_read(const struct tree *t, const char *dir, int fd);

/* Notes what base_index_read() returned; consumes it.  tree.lock is held. */
void base_index_set(struct base_index *b, struct node *image, char *backing);

/* The image has no name any more.  tree.lock is held. */
void base_index_forget(struct base_index *b, struct node *image);

/* A name leads to another file than before.  tree.lock is held. */
void base_index_note_change(struct base_index *b);

/*
 * base_index_check_write() - whether an image may be written
 *
 * Scans the directories of the image, and those above them, if entries came or went.  Overlays
 * in other directories count as they were when those were last scanned.
 *
 * Return: 0; -EROFS it is a backing file, and *why names one of its overlays; -ENOMEM.
 */
int base_index_check_write(struct tree *t, struct node *image, struct qc_reason *why);

#endif
