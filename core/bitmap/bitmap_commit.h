/* SPDX-License-Identifier: MIT */
/*
 * bitmap_commit.h - write the bitmaps of a set to the image file.
 *
 * The order on disk: clusters of bits, tables and a new directory are written to clusters that
 * nothing references.  A checkpoint makes them durable, with all guest data before them.  Then
 * one write of the header switches to the new directory.  The old one, and all that only it
 * references, become free.
 *
 * So a crash leaves the old directory, in which tracked bitmaps are in use, or the new one.
 */
#ifndef QC_BITMAP_COMMIT_H
#define QC_BITMAP_COMMIT_H

#include "bitmap/bitmap_set.h"

/*
 * qc_bitmap_commit() - write the set as it is
 * @clean:  store all bitmaps, and declare them consistent.  Otherwise bitmaps that are marked
 *          as in use stay so, and are not stored.
 *
 * After a failure the file is as before, unless the writer is aborted.
 * Context: drained, or when the writer closes.  Runs a checkpoint.
 * Return: 0; as qc_alloc_contiguous(), qc_checkpoint(), qc_bitmap_header_switch().
 */
qc_err qc_bitmap_commit(struct qc_bitmap_set *s, bool clean);

/*
 * qc_bitmap_commit_in_use() - mark bitmaps as in use in the directory of the file
 * @all:  also those that record no writes, since the size of the disk is about to change
 *
 * Context: before the first change with table_lock held, or drained.
 * Return: 0; -ENOMEM; an errno of the file.
 */
qc_err qc_bitmap_commit_in_use(struct qc_bitmap_set *s, bool all);

/* Writes a shorter directory over that in the file: bitmaps were taken out of the set before
 * the first change.  A crash leaves bitmaps that are not valid.  Context and return: as
 * qc_bitmap_commit_in_use(). */
qc_err qc_bitmap_commit_in_place(struct qc_bitmap_set *s);

/* Frees the clusters of a bitmap that was taken out of the set, and committed. */
void qc_bitmap_commit_free(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b);

#endif
