/* SPDX-License-Identifier: MIT */
/*
 * finding_list.h - a list of findings, each with a code, a priority, a note and its proof.
 *
 * Priority says how much a finding matters.  Its confidence is always "certain".
 */
#ifndef QC_FINDING_LIST_H
#define QC_FINDING_LIST_H

#include <jansson.h>

#include "evidence/tables.h"
#include "image/image.h"

enum qc_finding_code {
	/* Properties of a sound image. */
	QC_CODE_BACKING_FILE,
	QC_CODE_DATA_FILE,
	QC_CODE_ENCRYPTED,
	QC_CODE_SNAPSHOTS,
	QC_CODE_VERSION_1,
	/* The header. */
	QC_CODE_CORRUPT_BIT,
	QC_CODE_DIRTY_BIT,
	QC_CODE_UNKNOWN_FEATURE,
	QC_CODE_UNKNOWN_EXTENSION,
	QC_CODE_AUTOCLEAR_WITHOUT_EXTENSION,
	QC_CODE_BACKING_MISSING,
	/* Tables and refcounts. */
	QC_CODE_TWO_NAMES,
	QC_CODE_TABLE_OVERLAP,
	QC_CODE_TABLE_DAMAGED,
	QC_CODE_ENTRY_IMPOSSIBLE,
	QC_CODE_ENTRY_BEHIND_END,
	QC_CODE_COMPRESSED_BROKEN,
	QC_CODE_COUNT_LOW,
	QC_CODE_COUNT_HIGH,
	QC_CODE_COPIED_WRONG,
	QC_CODE_LOST_MAPPING,
	QC_CODE_PUNCHED_NAMED,
	/* Earlier data. */
	QC_CODE_HEADER_SLACK,
	QC_CODE_NAME_SLACK,
	QC_CODE_STRUCTURE_SLACK,
	QC_CODE_COMPRESSED_RESIDUE,
	QC_CODE_FILE_LONGER,
	QC_CODE_UNNAMED_DATA,
	QC_CODE_UNNAMED_TABLE,
	QC_CODE_ZEROED_WITH_DATA,
	QC_CODE_DELETED_SNAPSHOT,
	QC_CODE_OLD_L1,
	QC_CODE_BASE_THEN_UNKNOWN,
	QC_CODE_PUNCHED,
	/* Snapshots and bitmaps. */
	QC_CODE_DATES_OUT_OF_ORDER,
	QC_CODE_DATE_IN_FUTURE,
	QC_CODE_ID_GAP,
	QC_CODE_BITMAP_IN_USE,
	QC_CODE_BITMAP_STALE,
	QC_CODES,
};

struct qc_finding_list {
	struct qc_image *img;
	struct qc_tables *t;
	json_t *info, *findings; /* arrays */
	unsigned int count[QC_CODES];
	uint64_t left_out;
};

/*
 * qc_finding_list_add() - append a finding
 * @host, @len:  its evidence in the image file; len 0: none.  At most 1 MiB is hashed
 *
 * After 10,000 findings of one code the others are only counted.
 * Return: the finding, to add members to; NULL: it was left out, or there is no memory
 */
json_t *qc_finding_list_add(struct qc_finding_list *l, enum qc_finding_code code, uint64_t host,
			    uint64_t len, const char *fmt, ...) PRINTF_LIKE(5, 6);

#endif
