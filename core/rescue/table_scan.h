/* SPDX-License-Identifier: MIT */
/*
 * table_scan.h - lists the sectors of a file that look like the beginning of a table of offsets.
 */
#ifndef QC_TABLE_SCAN_H
#define QC_TABLE_SCAN_H

#include "io/file.h"

/* Where a scan reports its progress, as QC_WORK_SEARCH. */
struct qc_scan_progress {
	qc_progress_fn *fn; /* NULL: nowhere */
	void *arg;
	const char *path; /* of the file */
};

struct qc_table_scan {
	uint64_t *sector; /* host offsets, ascending */
	size_t n, room;
	uint64_t luks; /* host offset of a LUKS header; 0: none */
	uint64_t file_bytes;
};

/*
 * qc_table_scan_run() - read a file once, but for its holes
 *
 * A sector is listed if each of its words is 0, or an offset inside of the file with or without
 * COPIED.  At most 4 Mi sectors are.
 * @progress:  NULL: it is not reported
 * Return: 0; -ENOMEM; -EFBIG there are more; an errno of stat(2)
 */
qc_err qc_table_scan_run(struct qc_table_scan *s, struct qc_file *f,
			 const struct qc_scan_progress *progress);
void qc_table_scan_free(struct qc_table_scan *s);

#endif
