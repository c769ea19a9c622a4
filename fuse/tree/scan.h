/* SPDX-License-Identifier: MIT */
/* scan.h - reads a directory of SOURCE, and brings its names up to date. */
#ifndef SCAN_H
#define SCAN_H

struct node;
struct tree;

/* Scans a directory; call without locks.  -errno: the names stay as they were. */
int tree_scan(struct tree *t, struct node *dir);

/* Likewise, for a name that is not known.  With -o create an image that has a name is taken to be
 * as it was. */
int tree_scan_for_new(struct tree *t, struct node *dir);

/* Likewise, unless the times of the directory say that no entry came or went since the last
 * scan.  Does not notice a file that was overwritten.  -EBUSY: another thread scans it, and may
 * take long. */
int tree_scan_if_changed(struct tree *t, struct node *dir);

/* Does the same with all directories of SOURCE, also those that were not listed yet. */
void tree_scan_all(struct tree *t);

#endif
