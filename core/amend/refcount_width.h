/* SPDX-License-Identifier: MIT */
/*
 * refcount_width.h - store all refcounts of an image with another number of bits.
 *
 * All refcount blocks and the refcount table are written anew beside the old ones, and one write
 * to the first sector of the header switches over.  A crash leaks one of the two groups.
 */
#ifndef QC_REFCOUNT_WIDTH_H
#define QC_REFCOUNT_WIDTH_H

#include "base/log.h"
#include "update/writer.h"

/*
 * qc_refcount_width_change() - change the width to 1 << @order bits
 *
 * Context: in a drained section, with no dirty metadata; an image of version 3.
 * Return: 0; -EOVERFLOW a refcount needs more bits; -EFBIG the table would be too large; -ENOMEM;
 *	an errno of the file
 */
qc_err qc_refcount_width_change(struct qc_writer *w, unsigned int order, struct qc_reason *why);

/* Checks that all refcounts fit.  Return: 0; -EOVERFLOW; an errno of the file */
qc_err qc_refcount_width_check(struct qc_writer *w, unsigned int order, struct qc_reason *why);

#endif
