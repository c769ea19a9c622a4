/* SPDX-License-Identifier: MIT */
/*
 * partition_files.h - the partitions of an image, beside it: NAME.p1.raw, NAME.p2.raw, ...
 *
 * Reading the partition table needs the image opened.  So it is read when the directory is
 * listed, or such a name is looked up, and not again unless the image was written.
 */
#ifndef PARTITION_FILES_H
#define PARTITION_FILES_H

#include "tree/node_ops.h"

extern const struct view_provider partition_files_views;

#endif
