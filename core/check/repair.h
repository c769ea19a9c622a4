/* SPDX-License-Identifier: MIT */
/*
 * repair.h - refcounts rebuilt from what names the clusters.
 */
#ifndef QC_REPAIR_H
#define QC_REPAIR_H

#include "update/writer.h"

/* For an image whose dirty bit is set, or whose refcounts are known to be wrong (`what` says so):
 * counts all names of all clusters (by the
 * tables of the disk and of its snapshots, and by the metadata itself), corrects
 * the refcounts and the COPIED flags, and clears the bit.  Nobody else uses the
 * writer yet. */
qc_err qc_repair_refcounts(struct qc_writer *w, const char *what, struct qc_reason *why);

#endif
