/* SPDX-License-Identifier: MIT */
/*
 * new_image.h - an empty image over another one: version 3, in which no cluster has a
 * place yet.
 *
 *	cluster 0  header, format and name of the image below
 *	        1  refcount table, with one block
 *	        2  that block
 *	        3  L1 table
 */
#ifndef QC_NEW_IMAGE_H
#define QC_NEW_IMAGE_H

#include "format/header.h"

/* Makes all of the file that; the header is written last.  As qc_create_overlay. */
qc_err qc_new_image_write(struct qc_file *f, uint64_t size, const char *backing,
			const char *format);

#endif
