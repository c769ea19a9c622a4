/* SPDX-License-Identifier: MIT */
/*
 * overlap_check.h - keep guest data off metadata, like QEMU's overlap-check.
 *
 * Requests ask for every extent of the image file before they write guest data there, and before
 * they free it.
 * The header, the L1 table, the refcount table and the LUKS header are always compared.
 *
 * If the refcounts were not checked when the image was opened for writing, an L2 entry may
 * have COPIED set and reference a table.  Such an image has a map of all clusters that held
 * metadata at that time.  A cluster of the map may hold data now, so a hit is compared
 * with the metadata as it is.  The reverse cannot happen: new metadata goes to clusters that
 * no entry references.  The map has room for 2 Mi clusters; more metadata is not in it.  To
 * compare each write with all metadata would read all tables.
 */
#ifndef QC_OVERLAP_CHECK_H
#define QC_OVERLAP_CHECK_H

#include "update/writer_fields.h"

/* Makes the map of clusters that hold metadata, before the first request uses the writer.
 * Return: 0; -ENOMEM; an errno of the file. */
qc_err qc_overlap_map_new(struct qc_writer *w, struct qc_overlap_map **out);
void qc_overlap_map_free(struct qc_overlap_map *map); /* NULL is allowed */

/*
 * qc_overlap_check_write() - check that guest data may be written to an extent
 *
 * Return: 0; -EIO the extent holds metadata, the image is then marked corrupt; an errno of
 *         the file.
 */
qc_err qc_overlap_check_write(struct qc_writer *w, struct hoff host, uint64_t len);

/*
 * qc_overlap_may_free() - check that an extent which an L2 entry has referenced holds guest data
 *
 * Return: true; false the extent holds metadata, or that cannot be told: it must leak.  Logged.
 */
bool qc_overlap_may_free(struct qc_writer *w, struct hoff host, uint64_t len);

#endif
