/* SPDX-License-Identifier: MIT */
/*
 * bitmap_overlap.h - check that bitmaps share no cluster with other metadata.
 *
 * A directory is written in place to mark its bitmaps as in use, and clusters of bits become free
 * when others take over.  In a damaged image these may be clusters of tables.
 */
#ifndef QC_BITMAP_OVERLAP_H
#define QC_BITMAP_OVERLAP_H

#include "update/writer.h"

/* Returns in *found if the bitmaps in the file share a cluster with other metadata, or if the
 * refcount of a cluster of their directory is not 1.
 * Context: before the first change.  Return: 0; -ENOMEM; an errno of the file. */
qc_err qc_bitmap_overlap_find(struct qc_writer *w, bool *found);

#endif
