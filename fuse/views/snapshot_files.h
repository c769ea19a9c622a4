/* SPDX-License-Identifier: MIT */
/*
 * snapshot_files.h - the directory of one snapshot, with disk.raw and, if the snapshot has a VM
 * state, vmstate.  Their times are the date of the snapshot.
 */
#ifndef SNAPSHOT_FILES_H
#define SNAPSHOT_FILES_H

#include "views/entry_dir.h"

/* Copies a snapshot with its names, as the data of an entry.  NULL: no memory. */
struct qc_snapshot *snapshot_files_copy(const struct qc_snapshot *s);

/* For entry_dir_kind: makes the directory's node; the snapshot was read again. */
int snapshot_files_make_dir(struct tree *t, struct node *dir, const struct dir_entry *e,
			    struct node **out);
void snapshot_files_update(struct node *n, void *snapshot);

#endif
