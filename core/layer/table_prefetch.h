/* SPDX-License-Identifier: MIT */
/*
 * table_prefetch.h - let the kernel read L2 tables before a walk over metadata gets to them.
 *
 * The walk itself reads one table after the other.  With the next tables on their way the disk
 * has several requests at a time, so that the disk alone limits a walk over a cold file.
 */
#ifndef QC_TABLE_PREFETCH_H
#define QC_TABLE_PREFETCH_H

#include "metadata/metadata.h"

struct qc_table_prefetch {
	const struct qc_metadata *md;
	const uint8_t *l1; /* entries in the byte order of the file */
	uint64_t l1_entries;
	uint64_t next; /* first entry whose table was not asked for */
};

/* Asks for the tables behind entry @i, as far as they are not on their way.  Call it with
 * growing @i, before the table of entry @i is read. */
void qc_table_prefetch(struct qc_table_prefetch *p, uint64_t i);

#endif
