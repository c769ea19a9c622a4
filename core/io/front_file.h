/* SPDX-License-Identifier: MIT */
/*
 * front_file.h - files in front of another file, which change some of its functions.
 *
 * The struct of such a file begins with struct qc_front_file.  In its table are the functions that
 * it changes, and for the rest those below, each of which calls the same function of the other
 * file.
 */
#ifndef QC_FRONT_FILE_H
#define QC_FRONT_FILE_H

#include "io/file.h"

struct qc_front_file {
	struct qc_file file; /* first: the one that callers use */
	struct qc_file *real;
};

qc_err qc_front_file_stat(struct qc_file *f, struct qc_file_stat *out);
qc_err qc_front_file_size(struct qc_file *f, uint64_t *out);
qc_err qc_front_file_extent(struct qc_file *f, uint64_t off, struct qc_extent *out);
qc_err qc_front_file_write(struct qc_file *f, uint64_t off, const void *buf, size_t len);
qc_err qc_front_file_sync(struct qc_file *f);
qc_err qc_front_file_resize(struct qc_file *f, uint64_t size);
qc_err qc_front_file_punch(struct qc_file *f, uint64_t off, uint64_t len);
int qc_front_file_fd(const struct qc_file *f);

/* Closes the other file, and frees this one. */
void qc_front_file_close(struct qc_file *f);

#endif
