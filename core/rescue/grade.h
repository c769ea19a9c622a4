/* SPDX-License-Identifier: MIT */
/*
 * grade.h - grades the disk of one layer: which of its bytes are right, doubtful or lost.
 *
 * Called when an image is opened to be rescued, and by the maps of such an image.
 */
#ifndef QC_GRADE_H
#define QC_GRADE_H

#include "layer/cluster_map.h"
#include "rescue/grade_map.h"
#include "rescue/grade_table.h"
#include "rescue/verdicts.h"

/*
 * qc_grade_verdicts() - compare references with refcounts, once for each layer
 * @out:  belongs to the layer; NULL for a raw file
 *
 * Context: takes l->open_lock, also while all tables are read.
 * Return: 0; -ENOMEM; an errno of stat(2)
 */
qc_err qc_grade_verdicts(struct qc_layer *l, const struct qc_verdicts **out);

/* Returns the mended L1 table, after qc_grade_verdicts(); NULL for a raw file. */
struct qc_mended_l1;
const struct qc_mended_l1 *qc_grade_mended(const struct qc_layer *l);

/* Frees what qc_grade_verdicts() and qc_grade_active() keep for a layer. */
void qc_grade_forget(struct qc_layer *l);

/*
 * qc_grade_active() - grade the active disk, once for each layer
 * @out:  belongs to the layer
 *
 * Return: as qc_grade_verdicts()
 */
qc_err qc_grade_active(struct qc_layer *l, const struct qc_grade_map **out);

/*
 * qc_grade_disk() - grade the disk of an L1 table
 * @size:  guest bytes to grade, from 0 on
 * @out:   for qc_grade_map_free()
 *
 * A compressed cluster counts as good if its entry is: whether it can be decompressed is not
 * tried.  Neither is plain data read.
 * Return: as qc_grade_verdicts()
 */
qc_err qc_grade_disk(struct qc_layer *l, const struct qc_l1_table *l1, uint64_t size,
		     struct qc_grade_map **out);

/*
 * qc_grade_deleted_disk() - grade a disk that the image does not have any more
 * @l1:     its L1 table, or the only L2 table that is left of it
 * @judge:  says what became of its clusters
 *
 * The same as qc_grade_disk(), but refcounts and references of the image tell nothing here.
 * Return: 0; -ENOMEM; an errno of stat(2)
 */
qc_err qc_grade_deleted_disk(struct qc_layer *l, const struct qc_l1_table *l1, uint64_t size,
			     const struct qc_cluster_judge *judge, struct qc_grade_map **out);

#endif
