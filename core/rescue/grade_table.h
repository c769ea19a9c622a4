/* SPDX-License-Identifier: MIT */
/*
 * grade_table.h - grades the guest bytes of one L2 table.
 *
 * The table is judged as a whole: one impossible entry shows that something overwrote it, and
 * then entries that are 0 prove nothing.
 */
#ifndef QC_GRADE_TABLE_H
#define QC_GRADE_TABLE_H

#include "layer/cluster_map.h"
#include "rescue/grade_map.h"
#include "rescue/verdicts.h"

/*
 * Judges the clusters of a disk that the image does not have any more.  Its clusters are free
 * or in use again, so refcounts tell nothing about them.
 */
struct qc_cluster_judge {
	/* Returns the reason for the clusters of plain data, or of compressed data. */
	enum qc_grade_reason (*of_data)(void *arg, uint64_t host, uint64_t len, bool compressed);
	/* The same for an L1 or L2 table. */
	enum qc_grade_reason (*of_table)(void *arg, uint64_t host, uint64_t len);
	void *arg;
	enum qc_grade_reason of_absent; /* of entries that are 0 */
};

struct qc_grading {
	struct qc_layer *l;
	const struct geom *g;
	const struct qc_verdicts *v; /* NULL with a judge */
	const struct qc_cluster_judge *judge; /* NULL: refcounts judge */
	struct qc_salvage *file;
	struct qc_grade_map *out;
	uint64_t size;	     /* guest bytes to grade */
	uint64_t file_bytes; /* of the image file */
	uint64_t data_bytes; /* of the file with the guest data */
	enum qc_grade_reason of_absent; /* an entry that is 0 */
	bool l1_is_sound;    /* its refcount agrees */
	bool is_unproved;    /* nothing proves that this L2 table belongs there */
	uint8_t *l2;	     /* one table */
	struct qc_sector_marks l2_unread;
};

/* Appends the grade of the guest bytes that the L2 table at host offset @table maps, from guest
 * offset k->out->end on.  Return: 0; -ENOMEM */
qc_err qc_grade_table_run(struct qc_grading *k, uint64_t table);

/* Appends @len bytes of one grade, up to the end of the disk.  Return: 0; -ENOMEM */
qc_err qc_grade_table_append(struct qc_grading *k, uint64_t len, enum qc_grade_reason reason);

#endif
