/* SPDX-License-Identifier: MIT */
/*
 * patched_file.h - a file in front of another, that reads other bytes in one range.
 *
 * An image that is rescued may get an L1 table that the file does not hold.  All that read the
 * image read through the patch, so they do not know of it.  The file itself is never written.
 */
#ifndef QC_PATCHED_FILE_H
#define QC_PATCHED_FILE_H

#include <stdatomic.h>

#include "io/front_file.h"

/* Constant while a file refers to it. */
struct qc_file_patch {
	uint64_t off; /* host offset; the patch may end behind the end of the file */
	size_t len;
	const uint8_t *bytes;
};

struct qc_patched_file {
	struct qc_front_file front;
	const struct qc_file_patch *_Atomic patch; /* NULL: none */
};

/* Puts a patched file without a patch in front of *f, and replaces *f by it.  It closes the other
 * file with itself.  Return: 0; -ENOMEM, and *f is as it was. */
qc_err qc_patched_file_new(struct qc_file **f, struct qc_patched_file **out);

/* Makes later reads see the patch; NULL removes it.  The caller keeps @patch until the file is
 * closed. */
void qc_patched_file_set(struct qc_patched_file *p, const struct qc_file_patch *patch);

#endif
