/* SPDX-License-Identifier: MIT */
/*
 * snapshot_files.h - the directory of one snapshot, with disk.raw and, if the snapshot has a VM
 * state, vmstate.  Their times are the date of the snapshot.
 *
 * The snapshot may be one that was deleted: then there is also disk.map.
 */
#ifndef SNAPSHOT_FILES_H
#define SNAPSHOT_FILES_H

#include "views/entry_dir.h"

/* Copies a snapshot with its names, as the data of an entry.  NULL: no memory. */
struct qc_snapshot *snapshot_files_copy(const struct qc_snapshot *s);

/* The functions of snapshots of one sort: live ones or deleted ones. */
struct snapshot_files_kind {
	/* Opens a part of a snapshot.  @s: the data of its entry, which may have more behind it.
	 * -ENOENT: the snapshot is gone. */
	int (*open)(struct qc_image *img, const struct qc_snapshot *s, enum qc_part part,
		    struct qc_image **out, struct qc_reason *why);
	bool has_map; /* disk.map tells how far the disk can be trusted */
};

/* Makes the node of a directory whose entry has a struct qc_snapshot as the beginning of its data.
 * One without an id has no date.  -ENOMEM. */
int snapshot_files_make(struct tree *t, struct node *dir, const struct dir_entry *e,
			const struct snapshot_files_kind *kind, struct node **out);

/* For entry_dir_kind: makes the directory's node; the snapshot was read again. */
int snapshot_files_make_dir(struct tree *t, struct node *dir, const struct dir_entry *e,
			    struct node **out);
void snapshot_files_update(struct node *n, void *snapshot);

#endif
