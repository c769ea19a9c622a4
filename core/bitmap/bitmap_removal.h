/* SPDX-License-Identifier: MIT */
/*
 * bitmap_removal.h - free the clusters of bitmaps that are removed.
 *
 * Bitmaps that a program has not updated, or whose tables are damaged, may reference clusters
 * that hold guest data now.  So references to their clusters are counted, and only the
 * surplus of each refcount is freed.
 */
#ifndef QC_BITMAP_REMOVAL_H
#define QC_BITMAP_REMOVAL_H

#include "format/bitmap_directory.h"
#include "metadata/free_list.h"
#include "update/writer.h"

/* Adds the extents of the directory, the tables and the data of all bitmaps to @out, as far as
 * they can be read.  Return: 0; -ENOMEM; an errno of the file. */
qc_err qc_bitmap_removal_collect_all(struct qc_writer *w, struct qc_free_list *out);

/* The same for the table and the data of one bitmap. */
qc_err qc_bitmap_removal_collect(struct qc_writer *w, const struct qc_bitmap *b,
				 struct qc_free_list *out);

/* Orders extents by their offset. */
void qc_bitmap_removal_sort(struct qc_free_list *l);

/* Frees extents that no table in the file references any more, and that valid bitmaps had. */
void qc_bitmap_removal_free(struct qc_writer *w, const struct qc_free_list *l);

/*
 * qc_bitmap_removal_free_unreferenced() - the same for bitmaps that were not valid
 *
 * Reads all tables of the image.  Sorts @l.
 * Context: before the first change: no metadata is dirty.
 * Return: 0; -EIO the tables are damaged; -ENOMEM; an errno of the file.  Clusters that were not
 *	freed are leaked.
 */
qc_err qc_bitmap_removal_free_unreferenced(struct qc_writer *w, struct qc_free_list *l);

#endif
