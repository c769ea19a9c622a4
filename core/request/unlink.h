/* SPDX-License-Identifier: MIT */
/*
 * unlink.h - unmap guest clusters, and queue their host clusters to be freed.
 *
 * Called by a resize in a drained section, and by a request in flight that holds a range
 * lock on all clusters concerned.  Afterwards the clusters are unallocated: they read as
 * the backing file, or as zeros.
 */
#ifndef QC_UNLINK_H
#define QC_UNLINK_H

#include "layer/cluster_map.h"
#include "update/writer.h"

/*
 * qc_unlink_l2_table() - unmap all clusters of the L2 table for @at
 *
 * Clears the L1 entry.  If a snapshot shares the table, it keeps it as it is.
 * Return: 0; -EIO the table is damaged or cannot be read; an errno of the file.
 */
qc_err qc_unlink_l2_table(struct qc_writer *w, struct goff at);

/* Unmaps the clusters from @at, where one begins, to the end of its L2 table.
 * Return: as qc_unlink_l2_table(); -ENOSPC no room for a copy of a shared table. */
qc_err qc_unlink_rest_of_l2_table(struct qc_writer *w, struct goff at);

/* Queues the host cluster, or the compressed bytes, of an L2 entry to be freed.  The caller
 * has replaced the entry. */
void qc_unlink_defer_free(struct qc_writer *w, const struct l2_entry *e);

#endif
