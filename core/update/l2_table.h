/* SPDX-License-Identifier: MIT */
/*
 * l2_table.h - L2 tables that may be changed in place.
 *
 * Called by requests that change L2 entries.  A missing table is allocated, and a table
 * that a snapshot shares is copied.
 */
#ifndef QC_L2_TABLE_H
#define QC_L2_TABLE_H

#include "update/writer_fields.h"

/*
 * qc_writer_l2_table() - find or make the writable L2 table of a guest offset
 * @table:  out: host offset of the table
 *
 * Context: takes table_lock; may read and write the file.
 * Return: 0; QC_RETRY_CHECKPOINT; -EIO the L1 entry is damaged, the image is then marked
 *         corrupt; an errno of the file.
 */
qc_err qc_writer_l2_table(struct qc_writer *w, struct goff at, struct hoff *table);

#endif
