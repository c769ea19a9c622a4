/* SPDX-License-Identifier: MIT */
/* snapshot_find.h - find a snapshot of an image as the user names it. */
#ifndef SNAPSHOT_FIND_H
#define SNAPSHOT_FIND_H

#include "qcow.h"

/* Finds a snapshot by its name, or else by its ID.  Return: NULL: there is none */
const struct qc_snapshot *snapshot_find(const struct qc_snapshots *s, const char *name);

/*
 * snapshot_find_and_open() - open the disk of a snapshot
 * @name:  name or ID, or as QEMU: "snapshot.id=ID,snapshot.name=NAME", one of them or both
 *
 * Return: 0; -ENOENT there is none; else as qc_snapshot_open()
 */
qc_err snapshot_find_and_open(struct qc_image *img, const char *name, struct qc_image **out,
			      struct qc_reason *why);

#endif
