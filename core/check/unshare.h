/* SPDX-License-Identifier: MIT */
/*
 * unshare.h - give each entry of the active tables a cluster that no other one references.
 *
 * Called by the repair.  Only damage makes two active entries reference one cluster.  When
 * one of them is written, the refcount falls to 1, and COPIED would have to be set in the
 * other one, which no writer looks for.  So the repair makes copies.
 */
#ifndef QC_UNSHARE_H
#define QC_UNSHARE_H

#include "check/reference_count.h"
#include "update/writer.h"

/*
 * qc_unshare_window() - copy clusters that several active entries reference
 * @m:     the count of one window, just made; uses QC_REF_SEEN
 * @done:  incremented for each copy
 *
 * The first entry keeps the cluster, unless a compressed entry references it, too.  A copy is
 * durable before an entry in the file references it.  The refcounts of the old clusters stay,
 * too high.  Entries get no COPIED.
 * Context: no other thread uses the writer; refcounts are not too low.
 * Return: 0; -ENOMEM; -EFBIG; -EIO a table is damaged; an errno of the file
 */
qc_err qc_unshare_window(struct qc_writer *w, struct qc_reference_count *m, uint64_t *done);

#endif
