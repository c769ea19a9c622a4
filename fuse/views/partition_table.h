/* SPDX-License-Identifier: MIT */
/*
 * partition_table.h - which parts of a disk its partition table says are partitions.
 */
#ifndef PARTITION_TABLE_H
#define PARTITION_TABLE_H

#include "qcow.h"

enum { PART_MAX = 255 }; /* the highest number; the kernel's, too */

/* Inside the disk, and not empty.  They may overlap. */
struct partition {
	unsigned int number;
	uint64_t start, len; /* bytes */
};

/* The version of libblkid; NULL: built without it, and so no disk has partitions. */
const char *partition_table_library(void);

/* Fills out[] with those of an MBR, logical ones too, or of a GPT, in the order of
 * their numbers, and *n; none is no failure.  Takes a bounded time, whatever the disk
 * holds.  What qc_read() says, or what the system said. */
int partition_table_read(struct qc_image *img, struct partition out[PART_MAX], size_t *n);

#endif
