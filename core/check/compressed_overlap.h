/* SPDX-License-Identifier: MIT */
/*
 * compressed_overlap.h - find compressed clusters whose bytes overlap.
 *
 * Refcounts do not tell: several compressed clusters may share a host cluster.  An entry counts
 * whole sectors, and the next compressed cluster may begin in the last one (qcow2 spec,
 * "Compressed Clusters Descriptor").  So an overlap is certain only if another one begins at or
 * before the first byte of that sector.  Version 1 counts bytes.
 *
 * Entries are collected and sorted for as many host clusters at a time as fit in memory.  Each
 * time, all tables are read again, so an image without compressed clusters costs nothing.
 */
#ifndef QC_COMPRESSED_OVERLAP_H
#define QC_COMPRESSED_OVERLAP_H

#include "check/entry_check.h"
#include "check/reference_count.h"

/* Checks the compressed clusters in a window that was counted.  Entries that are equal share
 * their data, as with snapshots.  Return: 0, also with findings; -ENOMEM; an errno of the
 * file. */
qc_err qc_compressed_overlap_check(struct qc_reference_count *m, struct qc_findings *out);

#endif
