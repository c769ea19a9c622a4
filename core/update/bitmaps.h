/* SPDX-License-Identifier: MIT */
/*
 * bitmaps.h - removes persistent dirty bitmaps of an image that is written.
 *
 * The writer does not update bitmaps, so the first change makes them void.  Before it, the
 * autoclear bit that declares them valid is cleared, and they are removed with their clusters: a
 * header that still named them would leave their clusters leaked.
 */
#ifndef QC_BITMAPS_H
#define QC_BITMAPS_H

#include "metadata/free_list.h"
#include "update/writer_fields.h"

/*
 * qc_bitmaps_collect() - list the extents of all bitmaps, while they are valid
 * @out:  the directory, tables and data; references that are impossible are left out
 *
 * Return: 0; -ENOMEM; an errno of the file
 */
qc_err qc_bitmaps_collect(struct qc_writer *w, struct qc_free_list *out);

/*
 * qc_bitmaps_remove() - take the bitmaps out of the header, and free their clusters
 * @extents:  of qc_bitmaps_collect(); emptied
 *
 * Logs a warning with the names of the bitmaps.  A crash leaves the bitmaps named and void, or
 * their clusters leaked.
 * Context: before the first change, with table_lock held.
 * Return: 0; -EIO or another errno of the file
 */
qc_err qc_bitmaps_remove(struct qc_writer *w, struct qc_free_list *extents);

#endif
