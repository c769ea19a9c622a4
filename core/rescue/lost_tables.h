/* SPDX-License-Identifier: MIT */
/*
 * lost_tables.h - finds the tables of an image file that nothing references, by their content.
 *
 * Called where an L1 table is to be mended, and for the files that show the rest of deleted
 * disks.  The header is known, and with it the size of clusters.
 */
#ifndef QC_LOST_TABLES_H
#define QC_LOST_TABLES_H

#include "format/header_fields.h"
#include "metadata/refcount.h"

enum qc_lost_table_kind {
	QC_LOST_L2_TABLE,
	QC_LOST_L1_TABLE,	  /* one cluster of it */
	QC_LOST_SNAPSHOT_TABLE,
};

struct qc_lost_table {
	uint64_t off;	   /* host offset */
	uint64_t refcount; /* of its first cluster; 0: it is free, or nothing tells */
	enum qc_lost_table_kind kind;
	uint32_t snapshots; /* of a snapshot table */
};

struct qc_lost_tables {
	struct qc_lost_table *table; /* ascending */
	size_t n, room;
};

/* Tells whether anything references a cluster; in version 1, a sector. */
typedef bool qc_is_referenced_fn(const void *arg, uint64_t cluster);

/*
 * qc_lost_tables_find() - test each cluster that nothing references, but for holes of the file
 * @counts:  NULL: there are no refcounts
 * @out:     to be freed
 *
 * Reads one sector of each such cluster, and the rest of each table.  A cluster that cannot be
 * read is no table.
 * Return: 0; -ENOMEM; -EFBIG more than 4 Mi tables; an errno of stat(2)
 */
qc_err qc_lost_tables_find(struct qc_file *f, const struct qc_header *h,
			     struct qc_refcounts *counts, qc_is_referenced_fn *is_referenced,
			     const void *arg, struct qc_lost_tables *out);
void qc_lost_tables_free(struct qc_lost_tables *o);

#endif
