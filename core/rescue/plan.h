/* SPDX-License-Identifier: MIT */
/*
 * plan.h - a plan: where the parts of a damaged image are, as a search found it or a person says.
 *
 * It replaces a search, and wins over the header.  A plan is hostile: each value is
 * checked as the same field of a header is, and no byte is good because a plan says so.
 */
#ifndef QC_PLAN_H
#define QC_PLAN_H

#include "format/header_fields.h"
#include "io/file.h"

/* Keys that a plan has. */
enum qc_plan_key {
	QC_PLAN_FILE_SIZE,
	QC_PLAN_VERSION,
	QC_PLAN_CLUSTER_SIZE,
	QC_PLAN_SIZE,
	QC_PLAN_L1,
	QC_PLAN_REFCOUNT_TABLE,
	QC_PLAN_REFCOUNT_BITS,
	QC_PLAN_EXTENDED_L2,
	QC_PLAN_L2_ENTRIES, /* of version 1 */
	QC_PLAN_COMPRESSION,
	QC_PLAN_SNAPSHOTS,
	QC_PLAN_ENCRYPTION,
	QC_PLAN_LUKS,
	QC_PLAN_KEYS,
};

struct qc_plan {
	bool has[QC_PLAN_KEYS];
	uint64_t file_size;
	struct qc_header head; /* the fields that the keys set */
	uint64_t *l1_word;     /* NULL: the L1 table is in the file; else head.geom.l1_entries */
};

/*
 * qc_plan_parse() - read the text of a plan
 * @out:  for qc_plan_free(); NULL on failure
 *
 * Return: 0; -EINVAL no JSON, or a value that is impossible; -ENOMEM
 */
qc_err qc_plan_parse(const char *text, size_t len, struct qc_plan **out, struct qc_reason *why);
void qc_plan_free(struct qc_plan *p); /* NULL is allowed */

/* Returns true if the plan locates all that a header locates, so that nothing is searched. */
bool qc_plan_is_complete(const struct qc_plan *p);

/*
 * qc_plan_apply() - put the values of a plan into a header
 * @h:  the header of the image, or a found one, or zeros
 *
 * The result is checked as a header of the file.
 * Return: as qc_header_read(), and then *h is not valid
 */
qc_err qc_plan_apply(const struct qc_plan *p, struct qc_file *f, struct qc_header *h,
		     struct qc_reason *why);

/* Makes the text of a plan for an image.  @l1: the mended L1 table in the byte order of the file;
 * NULL: that of the file.  Return: 0; -ENOMEM */
qc_err qc_plan_write(const struct qc_header *h, uint64_t file_size, const uint8_t *l1, char **text,
		     size_t *len);

#endif
