/* SPDX-License-Identifier: MIT */
/*
 * commit_base.h - a file of a chain that becomes writable while the chain stays open.
 *
 * Only a commit does this.  Until the end the caller reads nothing of this file, and of the
 * files below, by way of the chain: its requests in flight are not known to the writer.
 */
#ifndef QC_COMMIT_BASE_H
#define QC_COMMIT_BASE_H

#include "image/image.h"

struct qc_commit_base {
	struct qc_layer *layer;
	struct qc_image *img; /* the chain from the file down; NULL: a raw file */
	struct qc_file *raw;  /* open for writing; NULL: an image */
};

/* Takes the locks of a writer for layer @n of the chain.  Call qc_commit_base_close() also after
 * a failure.
 * Return: 0; -EBUSY another image or program uses the file; as qc_open() for writing */
qc_err qc_commit_base_open(struct qc_image *chain, unsigned int n, struct qc_commit_base *out,
			   struct qc_reason *why);

/* Ends the writing.  The layer goes back to the chain, which is to be closed. */
void qc_commit_base_close(struct qc_commit_base *b);

uint64_t qc_commit_base_size(const struct qc_commit_base *b);

/* The following act on the disk of the file.  Return: as the public functions. */
qc_err qc_commit_base_grow(struct qc_commit_base *b, uint64_t size);
qc_err qc_commit_base_write(struct qc_commit_base *b, uint64_t off, const uint8_t *buf, size_t len);
qc_err qc_commit_base_zero(struct qc_commit_base *b, uint64_t off, uint64_t len);
qc_err qc_commit_base_flush(struct qc_commit_base *b);

#endif
