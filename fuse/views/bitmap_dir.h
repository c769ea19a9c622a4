/* SPDX-License-Identifier: MIT */
/*
 * bitmap_dir.h - NAME.bitmaps: a file for each persistent dirty bitmap of an image.
 *
 *	NAME.bitmaps / BITMAP.raw
 *
 * Data of the file is the dirty areas of the disk, all else is holes.  mkdir BITMAP adds a
 * bitmap, rmdir BITMAP removes one, rename renames one.  For these calls there is a directory
 * BITMAP, which is found by its name, and is not listed.
 */
#ifndef BITMAP_DIR_H
#define BITMAP_DIR_H

#include "tree/node_ops.h"

extern const struct view_provider bitmap_dir_views;

#endif
