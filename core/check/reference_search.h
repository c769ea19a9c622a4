/* SPDX-License-Identifier: MIT */
/*
 * reference_search.h - find the table entries that reference clusters with a fault.
 *
 * A count of references tells how many there are, and not where.  So the full check collects
 * clusters with a fault, and then walks all tables once more for as many as fit in memory.
 */
#ifndef QC_REFERENCE_SEARCH_H
#define QC_REFERENCE_SEARCH_H

#include "check/entry_check.h"
#include "check/reference_count.h"

enum { QC_SEARCH_MAX = 16 * 1024 };

struct qc_reference_search {
	struct qc_finding *found; /* by host_offset; NULL: none yet */
	size_t n;		  /* at most QC_SEARCH_MAX */
	bool is_wanted;		  /* one of them has references */
};

/* Collects a finding about a cluster of the window.  Call it with growing host_offset.
 * Return: 0; -ENOSPC there are QC_SEARCH_MAX already; -ENOMEM. */
qc_err qc_reference_search_add(struct qc_reference_search *s, const struct qc_finding *f);

/* Finds one reference to each of these clusters, passes all findings to @out, and forgets
 * them.  Uses QC_REF_SEEN.  Return: 0; -ENOMEM; an errno of the file. */
qc_err qc_reference_search_run(struct qc_reference_search *s, struct qc_reference_count *m,
			       struct qc_findings *out);

#endif
