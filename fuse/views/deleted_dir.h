/* SPDX-License-Identifier: MIT */
/*
 * deleted_dir.h - NAME.deleted, the directory with the rest of deleted disks.
 *
 * A deleted snapshot is NAME@ID/, the disk of an old L1 table l1@OFFSET/, the part of a disk that
 * one L2 table maps l2@OFFSET.raw.  The directory has each compressed cluster that was replaced,
 * too, decompressed.
 */
#ifndef DELETED_DIR_H
#define DELETED_DIR_H

#include "tree/node_ops.h"

extern const struct view_provider deleted_dir_views;

#endif
