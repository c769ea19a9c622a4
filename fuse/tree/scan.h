/* SPDX-License-Identifier: MIT */
/*
 * scan.h - a folder of SOURCE -> the nodes of its images and sub-folders.
 */
#ifndef SCAN_H
#define SCAN_H

#include "tree/node.h"

/* Brings the folder's children up to date; its lock is not held.  -errno. */
int tree_scan(struct tree *t, struct node *folder);

#endif
