/* SPDX-License-Identifier: MIT */
/* table_disk.h - opens the disk of a table that the header does not locate. */
#ifndef QC_TABLE_DISK_H
#define QC_TABLE_DISK_H

#include "image/image.h"

struct qc_table_disk {
	struct qc_l1_table root; /* an L1 table, or one L2 table */
	uint64_t size;		 /* of the disk */
	bool own_layer_only;	 /* clusters without data are zeros, not those of the backing file */
};

/*
 * qc_table_disk_open() - open the disk of a table as an image of the same layers
 * @out:  to be closed, also after @img is closed
 *
 * With qc_config.rescue it is graded, as a snapshot is.  The table may be any in the file.
 * Return: 0; -EINVAL @img was opened for its headers only, or the table is impossible; -ENOMEM; an
 *	errno of stat(2)
 */
qc_err qc_table_disk_open(struct qc_image *img, const struct qc_table_disk *d,
			  struct qc_image **out, struct qc_reason *why);

#endif
