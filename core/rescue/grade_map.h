/* SPDX-License-Identifier: MIT */
/*
 * grade_map.h - how far each byte of one disk of a layer can be trusted.
 *
 * Made once for each L1 table of a layer, and then only looked up: by each step of a chain walk.
 * Invariant: runs cover the disk from 0 on, ascending, without gaps.
 */
#ifndef QC_GRADE_MAP_H
#define QC_GRADE_MAP_H

#include "base/util.h"

/* From best to worst. */
enum qc_grade {
	QC_GRADE_GOOD,
	QC_GRADE_DOUBTFUL,  /* readable, and perhaps wrong */
	QC_GRADE_ELSEWHERE, /* in a file that is not there */
	QC_GRADE_UNREAD,    /* the file cannot be read there: another attempt may get it */
	QC_GRADE_LOST,
};

/* Why a run is not good. */
enum qc_grade_reason {
	QC_REASON_NONE,
	/* Doubtful. */
	QC_REASON_ABSENT_UNPROVED,
	QC_REASON_REFCOUNT_DIFFERS,
	QC_REASON_TABLE_DIFFERS,
	QC_REASON_TABLE_HAS_DAMAGE,
	QC_REASON_ZERO_OVER_DATA,
	QC_REASON_TABLE_UNPROVED,
	QC_REASON_MAYBE_CUT,
	QC_REASON_TOO_MANY_RUNS,
	QC_REASON_SHARED_NOW,
	QC_REASON_CLAIMED_TWICE,
	QC_REASON_BASE_UNKNOWN,
	/* Elsewhere. */
	QC_REASON_BACKING_MISSING,
	/* Unread. */
	QC_REASON_UNREAD_DATA,
	QC_REASON_UNREAD_TABLE,
	/* Lost. */
	QC_REASON_L1_ENTRY,
	QC_REASON_L2_ENTRY,
	QC_REASON_NO_L1_ENTRY,
	QC_REASON_ABSENT_IN_DAMAGED_TABLE,
	QC_REASON_BEHIND_END,
	QC_REASON_IS_METADATA,
	QC_REASON_NOT_DECOMPRESSED,
	QC_REASON_TOO_MANY_TABLES,
	QC_REASON_REUSED,
	QC_REASON_PUNCHED,
	QC_REASON_L2_TABLE_LOST,
	QC_REASONS,
};

/* Returns the reason in words, and its grade. */
const char *qc_grade_map_text(enum qc_grade_reason reason);
enum qc_grade qc_grade_map_grade(enum qc_grade_reason reason);

struct qc_grade_run {
	uint64_t start;
	enum qc_grade_reason reason;
};

struct qc_grade_map {
	struct qc_grade_run *run;
	size_t n, room;
	size_t limit; /* of runs; 0: none */
	uint64_t end; /* of the last run */
};

/*
 * qc_grade_map_append() - add the next @len bytes of the disk
 *
 * If there are more runs than the limit, short ones of different reasons become one doubtful
 * run: never a good one.
 * Return: 0; -ENOMEM
 */
qc_err qc_grade_map_append(struct qc_grade_map *m, uint64_t len, enum qc_grade_reason reason);
void qc_grade_map_free(struct qc_grade_map *m); /* NULL is allowed; frees @m, too */

/* Returns the reason at an offset, and in *len for how many bytes it holds.  Behind the last
 * run nothing is known to be bad. */
enum qc_grade_reason qc_grade_map_find(const struct qc_grade_map *m, uint64_t off, uint64_t *len);

#endif
