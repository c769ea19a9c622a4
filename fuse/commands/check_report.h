/* SPDX-License-Identifier: MIT */
/*
 * check_report.h - what `qcowfs check` prints.
 *
 * Findings are printed as they come, since there may be millions of them.  The document of
 * --json is therefore written piece by piece.
 */
#ifndef CHECK_REPORT_H
#define CHECK_REPORT_H

#include <stdbool.h>

#include "qcow.h"

struct check_report {
	bool json, quiet;
	bool has_begun; /* the document of --json */
	bool has_finding;
};

/* A qc_finding_fn, for the argument struct check_report. */
void check_report_finding(void *report, const struct qc_finding *f);

/* Prints the counts, as qemu-img check does. */
void check_report_end(struct check_report *report, const char *path,
		      const struct qc_check_result *r);

/* Completes the document of --json, if it has begun, after a check that failed. */
void check_report_abandon(struct check_report *report);

#endif
