/* SPDX-License-Identifier: MIT */
/*
 * l2_origin.h - tells which entry of a lost L1 table referenced an L2 table.
 *
 * Three things tell it, and each by content.  A snapshot references the same L2 table, whose
 * refcount is higher than its references.  A snapshot references an L2 table that has the same
 * cluster in the same entry: one was copied from the other.  An L1 table that nothing references,
 * as a resize leaves it, references the L2 table.  If they do not agree, nothing is told.
 */
#ifndef QC_L2_ORIGIN_H
#define QC_L2_ORIGIN_H

#include "layer/metadata_walk.h"
#include "rescue/lost_tables.h"

/* An L2 table that is counted, and that nothing references. */
struct qc_l2_origin {
	uint64_t off;	/* host offset */
	uint32_t index; /* of the L1 entry; UINT32_MAX: nothing tells it */
	bool disputed;	/* two things tell different ones */
};

/* A reference of an L1 table in the file to an L2 table. */
struct qc_l1_reference {
	uint64_t table; /* host offset of the L2 table */
	uint32_t index; /* of the entry */
	bool in_snapshot;
};

struct qc_l2_origins {
	struct qc_l2_origin *table; /* ascending by `off` */
	size_t n, room;
	struct qc_l1_reference *ref; /* ascending by `table` */
	size_t refs, refs_room;
};

/*
 * qc_l2_origin_find() - find out to which entries the tables belong
 * @lost:     the tables without a reference
 * @is_lost:  for each L1 entry of the active disk: 1 if it is lost
 * @entries:  of that L1 table
 * @out:      to be freed, also after a failure
 *
 * Reads the L2 tables, and those of snapshots at lost entries.  Takes at most 64 MiB beside the
 * lists.
 * Return: 0; -ENOMEM; -EFBIG more than 4 Mi references; an errno of the file
 */
qc_err qc_l2_origin_find(const struct qc_metadata *md, const struct qc_lost_tables *lost,
			 const uint8_t *is_lost, uint32_t entries, struct qc_l2_origins *out);
void qc_l2_origin_free(struct qc_l2_origins *o);

#endif
