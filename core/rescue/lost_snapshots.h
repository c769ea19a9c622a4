/* SPDX-License-Identifier: MIT */
/* lost_snapshots.h - recognises a snapshot table that no header locates, by its content. */
#ifndef QC_LOST_SNAPSHOTS_H
#define QC_LOST_SNAPSHOTS_H

#include "format/geometry.h"
#include "io/file.h"

/*
 * qc_lost_snapshots_count() - count the snapshots of a table that may be at a host offset
 * @file_bytes:  size of the image file
 * @size:        out: of the disk when the last of them was taken; as it was if there is none
 *
 * Stops at the first entry that no program writes.
 * Return: the number of snapshots; 0: it is no snapshot table
 */
uint32_t qc_lost_snapshots_count(struct qc_file *f, const struct geom *g, uint64_t file_bytes,
				 uint64_t off, uint64_t *size);

#endif
