/* SPDX-License-Identifier: MIT */
/*
 * expand_zeros.h - replace zero clusters, which version 2 does not have.
 *
 * Without a backing file they become unallocated.  Else they become data: clusters full of
 * zeros.  Tables of snapshots are changed, too.  No entry reads as anything else at any time, so
 * each table is changed in place, and a crash leaves some entries changed.
 */
#ifndef QC_EXPAND_ZEROS_H
#define QC_EXPAND_ZEROS_H

#include "base/log.h"
#include "update/writer.h"

/*
 * qc_expand_zeros() - replace all zero clusters of the disk and of its snapshots
 *
 * Context: in a drained section, with no dirty metadata; an image of version 3 without extended
 *	L2 entries and without an external data file.
 * Return: 0; -ENOSPC, -EFBIG no room for the clusters; -EIO a table is damaged; -ENOMEM; an errno
 *	of the file
 */
qc_err qc_expand_zeros(struct qc_writer *w, struct qc_reason *why);

#endif
