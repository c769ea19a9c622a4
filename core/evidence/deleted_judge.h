/* SPDX-License-Identifier: MIT */
/*
 * deleted_judge.h - says what became of the clusters of a disk that the image does not have any
 * more.
 *
 * A cluster that nothing references, and that has bytes, is as the disk left it.  One that the
 * live disk or a snapshot references at the same guest offset has the same bytes, or newer ones.
 * All others are lost.
 */
#ifndef QC_DELETED_JUDGE_H
#define QC_DELETED_JUDGE_H

#include "evidence/residue.h"
#include "rescue/grade_table.h"

struct qc_deleted_judge {
	struct qc_cluster_judge judge; /* for qc_grade_deleted_disk() */
	struct qc_tables *t;
	const struct qc_cluster_use *use;
	struct qc_l1_table root; /* of the disk */
	uint8_t *l1;		 /* its content */
	uint8_t *flags;		 /* one byte for each cluster */
	uint8_t *l2;		 /* one table of the disk, */
	uint64_t l2_at;		 /* and its host offset; UINT64_MAX: none */
	uint64_t others_left;	 /* L2 tables of other deleted disks that may still be read */
	bool coexisted;		 /* with the other deleted disk that is compared now */
	bool is_other;		 /* the table that is compared now is of such a disk */
	uint64_t extent_at, extent_len; /* the part of the file that was asked for last */
	bool extent_is_data;
};

/*
 * qc_deleted_judge_new() - compare a disk with all that the image has, and with the other
 *	deleted disks
 * @root:      its L1 table, or the only L2 table that is left of it
 * @snapshot:  the deleted snapshot that it is; NULL: it is none
 * @r, @use:   of @t; kept by the judge
 *
 * Reads all tables once.  Takes one byte for each cluster of the file.
 * Return: 0; -ENOMEM; an errno of the file.  To be freed also after a failure.
 */
qc_err qc_deleted_judge_new(struct qc_tables *t, const struct qc_cluster_use *use,
			    const struct qc_residue *r, const struct qc_l1_table *root,
			    const struct qc_snapshot *snapshot, struct qc_deleted_judge *out);
void qc_deleted_judge_free(struct qc_deleted_judge *j);

#endif
