/* SPDX-License-Identifier: MIT */
/*
 * header.h - bytes of an image file -> its header.
 *
 * Called when a layer is opened.  Every number is checked here, against the limits of the
 * format and the size of the file.  Later code relies on that and does not check again.
 */
#ifndef QC_HEADER_H
#define QC_HEADER_H

#include "format/header_fields.h"
#include "io/file.h"

/*
 * qc_header_read() - read and check the header of an image file
 * @h:  on failure filled up to the field that is impossible
 *
 * Return: 0;
 *	-EMEDIUMTYPE  not a QCOW image
 *	-ENOTSUP      unknown version or feature
 *	-EINVAL       impossible
 *	-EFBIG        beyond the limits of the format, or ours
 *	-ENOMEM; else as pread(2), fstat(2)
 */
qc_err qc_header_read(struct qc_file *f, struct qc_header *h, struct qc_reason *why);

/* The same for a check: where the header has no possible location of the refcount table,
 * reftable_clusters becomes 0. */
qc_err qc_header_read_damaged(struct qc_file *f, struct qc_header *h, struct qc_reason *why);

/*
 * qc_header_parse() - the part of qc_header_read() that needs no file
 * @buf, @n:  the first bytes of the image
 * @need:     out: if more than @n, the extensions reach up to there: call again with as
 *	      many bytes
 *
 * Return: as qc_header_read()
 */
qc_err qc_header_parse(const uint8_t *buf, size_t n, struct qc_header *h, size_t *need,
		       struct qc_reason *why);

#endif
