/* SPDX-License-Identifier: MIT */
/*
 * snapshot_difference.h - tell the clients of a writer where a snapshot differs from the disk.
 */
#ifndef QC_SNAPSHOT_DIFFERENCE_H
#define QC_SNAPSHOT_DIFFERENCE_H

#include "snapshot/snapshot_update.h"

/* Calls qc_writer_range_changed() for the clusters of the disk that the snapshot has otherwise.
 * u->l1 is the active L1 table.  A table that cannot be read counts as different.
 * Return: 0; -EIO the L1 table of the snapshot is damaged; -ENOMEM; an errno of the file. */
qc_err qc_snapshot_difference_report(struct qc_snapshot_update *u, const struct qc_snapshot *s);

#endif
