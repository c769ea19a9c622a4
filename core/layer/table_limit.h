/* SPDX-License-Identifier: MIT */
/*
 * table_limit.h - the most L2 tables of one L1 table that a walk should visit.
 *
 * A sound L1 table names no L2 table twice, and the file has room for all of them.  One of a
 * hostile image can name the same table millions of times, and a walk over its entries would not
 * end in years.  A damaged one may name a few tables twice: the walk then goes on.
 */
#ifndef QC_TABLE_LIMIT_H
#define QC_TABLE_LIMIT_H

#include "format/geometry.h"

struct qc_table_limit {
	uint64_t named; /* entries that name an L2 table; the same table may count several times */
	uint64_t most;	/* of these are to be visited */
};

/*
 * qc_table_limit_find() - count the L2 tables that an L1 table names
 * @file_end:  bytes of the image file, rounded up to clusters
 * @l1:        @entries entries, in the byte order of the file
 *
 * Return: 0; -ENOMEM
 */
qc_err qc_table_limit_find(const struct geom *g, uint64_t file_end, const uint8_t *l1,
			   uint64_t entries, struct qc_table_limit *out);

#endif
