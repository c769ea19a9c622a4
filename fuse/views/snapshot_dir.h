/* SPDX-License-Identifier: MIT */
/*
 * snapshot_dir.h - NAME.snapshots: a directory for each internal snapshot of an image.
 *
 *	NAME.snapshots / SNAPSHOT / disk.raw, vmstate
 *
 * mkdir takes a snapshot, rmdir deletes one, rename renames one.
 */
#ifndef SNAPSHOT_DIR_H
#define SNAPSHOT_DIR_H

#include "tree/node_ops.h"

extern const struct view_provider snapshot_dir_views;

#endif
