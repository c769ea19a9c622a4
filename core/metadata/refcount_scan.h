/* SPDX-License-Identifier: MIT */
/*
 * refcount_scan.h - reads refcounts one after the other, from the file.
 *
 * For a check, which needs every refcount once: qc_refcounts_get() would look each of them up
 * in a cache, and fill that cache with blocks that are not needed again.
 */
#ifndef QC_REFCOUNT_SCAN_H
#define QC_REFCOUNT_SCAN_H

#include "metadata/refcount.h"

struct qc_refcount_scan {
	const struct qc_refcounts *refcounts;
	struct be64 *block; /* content of one block */
	uint64_t offset;    /* of this block; 0: none was read */
};

/* Prepares a scan.  No refcount may be dirty in memory.  Return: 0; -ENOMEM.
 * To be closed also after a failure. */
qc_err qc_refcount_scan_open(struct qc_refcount_scan *s, const struct qc_refcounts *r);
void qc_refcount_scan_close(struct qc_refcount_scan *s);

enum { QC_SCAN_MAX = 1024 };

/* Reads the refcounts of @n <= QC_SCAN_MAX clusters from @cluster on; 0 if no block covers a
 * cluster.  Fast if the calls go through the file in order.  Return: 0; an errno of the file. */
qc_err qc_refcount_scan_read(struct qc_refcount_scan *s, uint64_t cluster, size_t n,
			     uint64_t *counts);

#endif
