/* SPDX-License-Identifier: MIT */
/*
 * partition_files.h - the partitions of an image, beside it: NAME.p1.raw, NAME.p2.raw, ...
 *
 *	image <- NAME.pN.raw
 *
 * A partition's node is a window that never changes: when the table says something
 * else, another node takes the name, and the old one is `gone` and lives on for as
 * long as somebody refers to it.  To read the table the image is opened; so that is
 * done when somebody lists the folder, or looks up such a name, and not again unless
 * something has been written.
 *
 * Locks: that of the partitions, then the folder's, then facts.
 */
#ifndef PARTITION_FILES_H
#define PARTITION_FILES_H

#include "tree/node.h"

struct partition_files {
	pthread_mutex_t lock; /* one reads the table at a time */
	bool is_read;	      /* lock; the table of an image that is this: */
	struct identity read_of;
	atomic_bool written; /* through us, since it was last read */
	atomic_bool unread;  /* the image could not be opened: it may have a key by now */
	struct node *first;  /* the folder's lock; in the order of their numbers */
};

struct partition_files *partition_files_new(void); /* NULL: no memory */
void partition_files_free(struct partition_files *p); /* and its nodes */

/* Another file has taken the image's place; the folder's lock is held. */
void partition_files_detach(struct node *image);

/* Brings the nodes up to date.  The caller has a reference of the image, and no lock.
 * Where the image cannot be read there are none. */
void partition_files_refresh(struct tree *t, struct node *image);

/* Likewise, of each image that may have a partition of this name. */
void partition_files_refresh_for(struct tree *t, struct node *folder, const char *name);

/* Somebody could open it. */
void partition_files_image_opened(struct node *image);

#endif
