/* SPDX-License-Identifier: MIT */
/*
 * entry_check.h - check the entries of all tables of an image, one by one.
 *
 * The half of qc_check() that needs no count of references: is each entry valid, does it
 * reference a cluster in the file, does COPIED agree with the refcount?  The full check calls
 * it while it counts references, so that both read each table once.
 */
#ifndef QC_ENTRY_CHECK_H
#define QC_ENTRY_CHECK_H

#include "layer/metadata_walk.h"
#include "qcow_check.h"

/* Where the faults that a check finds go, and what they add up to.  Findings of NAME.findings.json
 * are another list (evidence/finding_list.h). */
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

/* Return a finding without a kind that tells where the reference to an item is, or where
 * entry @i of an L2 table is. */
struct qc_finding qc_finding_at_item(const struct geom *g, const struct qc_metadata_item *item);
struct qc_finding qc_finding_at_entry(const struct geom *g, const struct qc_metadata_item *l2,
				      uint64_t i);

/*
 * struct qc_entry_check - a check of all entries in several walks
 *
 * One walk checks all but COPIED.  COPIED is compared with the refcounts of one window of
 * clusters in a walk.  That of guest data in an external data file needs no refcount, and is
 * checked in the first walk.
 */
struct qc_entry_check {
	const struct qc_metadata *md; /* no other thread uses it */
	struct qc_findings *out; /* also gets the numbers of clusters of the active disk */
	uint64_t file_bytes;	 /* size of the image file */
	bool compares_copied;	 /* in this walk, and nothing else */
	uint64_t first, end;	 /* clusters of the window; the first window begins at 0 */
	uint64_t all_end;	 /* of all windows */
	uint8_t *is_one;	 /* a bit for each cluster of the window: the refcount is 1 */
	uint64_t next; /* host offset behind the previous cluster of this L2 table; 0: none */
};

/* Checks one item of a walk, with all entries of an L2 table.
 * Return: 0, also with findings; an errno of the file */
qc_err qc_entry_check_item(struct qc_entry_check *c, const struct qc_metadata_item *item);

/* Checks what the walk does not see of the snapshot table.  Return: 0, also with findings;
 * -ENOMEM. */
qc_err qc_entry_check_snapshots(struct qc_entry_check *c);

#endif
