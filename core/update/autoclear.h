/* SPDX-License-Identifier: MIT */
/*
 * autoclear.h - autoclear feature bits (qcow2 spec, "Header", bytes 88 - 95).
 *
 * Each bit declares that some data of the image is in step with the guest data.  A program
 * that changes the image, but does not know the feature, clears the bit first.
 */
#ifndef QC_AUTOCLEAR_H
#define QC_AUTOCLEAR_H

#include "update/writer_client.h"

/* Clears all bits before the first change, except for that of a raw external data file. */
extern const struct qc_writer_client_ops qc_autoclear_client;

/* Clears the bits at once, except for those in @valid, and syncs.  Logs the bitmaps that become
 * invalid.  A repair keeps the bits of bitmaps: it does not change guest data. */
qc_err qc_autoclear_clear(struct qc_writer *w, uint64_t valid);

#endif
