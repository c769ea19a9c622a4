/* SPDX-License-Identifier: MIT */
/*
 * overlap_check.h - where the metadata of an image file is, for one whose tables were not all
 * compared: there an entry may say of a table that it is data, to be written in place.
 *
 * The clusters are noted when the writer is opened.  What was metadata then may be data
 * by now, but not the other way round: tables are made in clusters that nobody names.
 */
#ifndef QC_OVERLAP_CHECK_H
#define QC_OVERLAP_CHECK_H

#include "update/writer.h"

/* Notes them.  Nobody else uses the writer yet. */
qc_err qc_overlap_map_new(struct qc_writer *w, struct qc_overlap_map **out);
void qc_overlap_map_free(struct qc_overlap_map *g);

/*
 * qc_overlap_check_write() - check that guest data may be written to an extent
 *
 * Compares the extent with the header, the L1 table, the refcount table and the LUKS
 * header, and with the overlap map if there is one.
 * Return: 0; -EIO the extent holds metadata, the image is then marked corrupt; an errno
 *         of the file.
 */
qc_err qc_overlap_check_write(struct qc_writer *w, struct hoff host, uint64_t len);

/* Whether the stretch of the file is metadata, in part. */
qc_err qc_overlap_map_test(struct qc_writer *w, uint64_t off, uint64_t len, bool *metadata);

#endif
