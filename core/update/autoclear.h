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

/* Clears the bits before the first change. */
extern const struct qc_writer_client_ops qc_autoclear_client;

/* Clears all bits at once, and syncs, except for those with QC_FEATURE_KEEP (format/features.h). */
qc_err qc_autoclear_clear(struct qc_writer *w);

/* Sets the field of the header to @bits, and syncs.  Does nothing before version 3.
 * Return: 0; an errno of the file, and then the field is as before. */
qc_err qc_autoclear_set(struct qc_writer *w, uint64_t bits);

#endif
