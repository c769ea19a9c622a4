/* SPDX-License-Identifier: MIT */
/*
 * bitmap_client.h - keeps the dirty bitmaps of an image true while it is written.
 *
 * A client of each writer (update/writer_client.h).  Before the first change all bitmaps that
 * record writes are marked as in use in the file.  Each changed range sets their bits in memory.
 * When the writer closes, they are stored and marked as consistent.  After a crash they are
 * inconsistent, as QEMU leaves them.
 *
 * Clusters of bits in the file are never overwritten.  New ones, a new table and a new directory
 * become durable with a checkpoint, and then one write of the header switches to them.
 *
 * Bitmaps that are damaged, too large, or not to be kept (qc_config.drop_bitmaps) are removed
 * with their clusters before the first change, and the log names them.
 */
#ifndef QC_BITMAP_CLIENT_H
#define QC_BITMAP_CLIENT_H

#include "bitmap/bitmap_set.h"

/* Registers the client with a writer. */
void qc_bitmap_client_add(struct qc_writer *w);

/*
 * qc_bitmap_client_load() - set w->bitmaps, unless that was done before
 *
 * Context: table_lock; before the first change, or drained with no dirty metadata.
 * Return: 0; -ENOMEM; an errno of the file.
 */
qc_err qc_bitmap_client_load(struct qc_writer *w);

#endif
