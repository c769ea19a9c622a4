/* SPDX-License-Identifier: MIT */
/*
 * entry_change.h - a change of what the image has in a virtual directory.
 *
 * The entries are read again through the changed image at once, under the directory's lock:
 * another reader sees all of a change or nothing.
 */
#ifndef ENTRY_CHANGE_H
#define ENTRY_CHANGE_H

#include "views/entry_dir.h"

struct entry_change {
	struct tree *t;
	struct node *dir;
	struct qc_image *img; /* open for writing */
};

/* Locks the directory, and opens the image for writing.  After a success the caller ends the change.
 * Return: 0; -EROFS; -ENOENT the image is gone; as image_file_open() */
int entry_change_begin(struct entry_change *c, struct tree *t, struct node *dir);

/* Ends a change with the result @r, and returns @r.  After a success it reads the entries again.  If
 * that fails, the next reader reads them. */
int entry_change_end(struct entry_change *c, int r);

/* Ends a change that has made an entry.  *out: the node of that, with one reference.
 * Return: @r; -EIO the image does not have the entry; as reading the entries */
int entry_change_end_new(struct entry_change *c, int r, const char *name, struct node **out);

/* Finds the data of an entry by its name in the mount, as the image has it now.
 * Return: 0; -ENOENT; as reading the entries */
int entry_change_find(struct entry_change *c, const char *name, const void **data);

/* Checks a rename before it begins: an entry stays in its directory.
 * Return: 0; -EROFS; -EPERM, and not -EXDEV: mv(1) must not try a copy */
int entry_change_check_rename(const struct tree *t, const struct node *dir,
			      const struct node *to_dir);

#endif
