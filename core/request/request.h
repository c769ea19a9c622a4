/* SPDX-License-Identifier: MIT */
/*
 * request.h - what requests do for each other, inside the gate.
 */
#ifndef QC_REQUEST_H
#define QC_REQUEST_H

#include "image/image.h"
#include "update/writer.h"

/* As qc_read and qc_write, for who has entered the gate. */
qc_err qc_read_inflight(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len);
qc_err qc_write_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf, uint64_t len);

/* Gives places to what has none. */
qc_err qc_allocate_inflight(struct qc_image *img, uint64_t off, uint64_t len);

/* Makes [off, off + len) read as zeros; `keep`: without giving clusters back. */
qc_err qc_write_zeroes_inflight(struct qc_image *img, uint64_t off, uint64_t len, bool keep);

/* What an entry named goes to limbo. */
void qc_defer_free_entry(struct qc_writer *w, const struct l2_entry *e);

#endif
