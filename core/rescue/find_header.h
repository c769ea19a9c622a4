/* SPDX-License-Identifier: MIT */
/*
 * find_header.h - finds the tables of an image whose header is lost, by their content.
 *
 * A refcount table is known by its blocks, which count the header, the table and themselves.
 * An L1 table is known by the L2 tables that it references.  Nothing is chosen by position,
 * date or name: what the found tables reference must agree with the refcounts, and if two
 * choices agree equally well there is no choice.
 */
#ifndef QC_FIND_HEADER_H
#define QC_FIND_HEADER_H

#include "format/header.h"
#include "metadata/table_cache.h"
#include "rescue/table_scan.h"

/*
 * qc_find_header() - make a header for the tables of a file
 * @cluster_bits:  of the image; 0: any
 * @progress:  NULL: it is not reported
 * @h:    out: of version 3; without a backing file, a data file and bitmaps, of which only the
 *	  lost header could tell
 * @why:  out: also on success, how far the refcounts prove it
 *
 * Reads all of the file once.  Not for version 1, which has no refcounts.
 * Return: 0; -EMEDIUMTYPE nothing was found, or nothing that the refcounts prove;
 *	-ENOMEM; an errno of the file
 */
qc_err qc_find_header(struct qc_file *f, struct qc_budget *budget, unsigned int cluster_bits,
		      const struct qc_scan_progress *progress, struct qc_header *h,
		      struct qc_reason *why);

#endif
