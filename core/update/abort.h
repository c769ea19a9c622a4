/* SPDX-License-Identifier: MIT */
/*
 * abort.h - stop writing to an image, like an aborted journal of jbd2.
 *
 * A writer is aborted when its changes may be lost, or when it finds damaged metadata.
 * From then on each change and each checkpoint fails with -EIO; reads go on.  The tables in
 * the file are those of the last successful sync.  The state ends with the layer: when the
 * last image is closed, and the file is opened again.
 */
#ifndef QC_ABORT_H
#define QC_ABORT_H

#include "update/writer_fields.h"

/* Aborts the writer.  Logs "@attempt: strerror(-@r)" the first time.  Returns @r. */
qc_err qc_writer_abort(struct qc_writer *w, qc_err r, const char *attempt);

/* Aborts the writer because its metadata is damaged, and sets the corrupt bit of version 3.
 * Logs the damage.  Returns -EIO. */
qc_err qc_writer_mark_corrupt(struct qc_writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Writes the incompatible feature bits, and syncs.  A failure aborts the writer. */
qc_err qc_writer_set_incompatible(struct qc_writer *w, uint64_t bits);

#endif
