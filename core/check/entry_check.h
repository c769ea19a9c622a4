/* SPDX-License-Identifier: MIT */
/*
 * entry_check.h - check the entries of all tables of an image, one by one.
 *
 * The half of qc_check() that needs no count of references: is each entry valid, does it
 * reference a cluster in the file, does COPIED agree with the refcount?
 */
#ifndef QC_ENTRY_CHECK_H
#define QC_ENTRY_CHECK_H

#include "layer/metadata_walk.h"
#include "qcow_check.h"

/* Where findings go, and what they add up to. */
struct qc_findings {
	qc_finding_fn *fn; /* may be NULL */
	void *arg;
	struct qc_check_result *result;
	bool is_left; /* struct qc_finding.is_left of all findings */
};

/* Counts a finding, and tells the caller of qc_check(). */
void qc_findings_add(struct qc_findings *out, const struct qc_finding *f);

/* Returns the name of a kind of metadata, as in "L2 table". */
const char *qc_finding_table(enum qc_metadata_kind kind);

/*
 * qc_entry_check() - check all entries
 * @md:          its refcounts are right as far as they are readable; no other thread uses it
 * @file_bytes:  size of the image file
 * @out:         also gets the numbers of clusters of the active disk
 *
 * Return: 0, also with findings; -ENOMEM; an errno of the file
 */
qc_err qc_entry_check(const struct qc_metadata *md, uint64_t file_bytes, struct qc_findings *out);

#endif
