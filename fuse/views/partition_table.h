/* SPDX-License-Identifier: MIT */
/*
 * partition_table.h - the partitions in the partition table of a disk.
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

/*
 * partition_table_read() - list the partitions of a disk
 * @out:  those of an MBR, logical ones too, or of a GPT, in the order of their numbers
 * @n:    out: how many; 0 is no failure
 *
 * Takes bounded time for any disk, and allocates bounded memory.
 * Return: 0; the error of qc_read(); -ENOMEM, -EMFILE, -ENFILE.
 */
int partition_table_read(struct qc_image *img, struct partition out[PART_MAX], size_t *n);

#endif
