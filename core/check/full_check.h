/* SPDX-License-Identifier: MIT */
/*
 * full_check.h - check all metadata of an image, without changing it.
 *
 * Called by qc_check(), before and after a repair.
 */
#ifndef QC_FULL_CHECK_H
#define QC_FULL_CHECK_H

#include "check/entry_check.h"

struct qc_full_check {
	const struct qc_metadata *md; /* `tables` is NULL; no other thread uses it */
	struct qc_findings out;
	qc_progress_fn *progress; /* may be NULL */
	qc_interrupted_fn *interrupted; /* may be NULL */
	void *progress_arg; /* of both */
	const char *path;
};

/* Fills the result with zeros, then counts all findings.  Return: 0, also with findings;
 * -ENOMEM; -ECANCELED; an errno of the file. */
qc_err qc_full_check(const struct qc_full_check *c);

#endif
