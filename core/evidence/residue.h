/* SPDX-License-Identifier: MIT */
/*
 * residue.h - finds entries and tables of deleted snapshots and earlier disks in an image file.
 *
 * Called by the directory of deleted disks, and by the findings.  Only clusters that nothing
 * references are searched.  The kind of a table depends on its content, on its references and on
 * the tables that reference it.  Nothing is decided by position, date or name.
 */
#ifndef QC_RESIDUE_H
#define QC_RESIDUE_H

#include "evidence/cluster_use.h"
#include "evidence/residue_entries.h"

struct qc_residue {
	struct qc_residue_entries entries; /* of deleted snapshots */
	struct qc_l1_table *l1; /* that no entry locates, ascending */
	size_t nl1, l1_room;
	uint64_t *l2; /* host offsets of L2 tables that no L1 table references, ascending */
	size_t nl2, l2_room;
};

/*
 * qc_residue_find() - search the clusters that nothing references
 * @out:  for qc_residue_free(), also after a failure
 *
 * Of version 1 only L2 tables are found: it has no snapshots, and its L1 table never moves.
 * With an external data file L2 tables are left out: their clusters are those of the disk.
 * Return: 0; -ENOMEM; -EFBIG more than 4 Mi tables; an errno of the file
 */
qc_err qc_residue_find(struct qc_tables *t, const struct qc_cluster_use *u,
		       struct qc_residue *out);
void qc_residue_free(struct qc_residue *r);

#endif
