/* SPDX-License-Identifier: MIT */
/*
 * qcow_amend.h - the part of qcow.h that changes the options of an image: its version, the width
 * of its refcounts, its features.
 */
#ifndef QCOW_AMEND_H
#define QCOW_AMEND_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum qc_switch { QC_KEEP, QC_OFF, QC_ON };

/* The wanted options.  0, QC_KEEP and NULL leave an option as it is. */
struct qc_amend_options {
	unsigned int version;	    /* 2, 3 */
	unsigned int refcount_bits; /* 1, 2, 4, ... 64 */
	enum qc_switch lazy_refcounts;
	enum qc_switch data_file_raw; /* QC_ON only if it is on already */
	const char *data_file;	      /* name, as it is recorded; the file is not opened */
};

/*
 * qc_amend() - change options of an image
 * @img:  opened with QC_OPEN_WRITE; QC_OPEN_NO_BACKING will do
 *
 * What the disk and its snapshots read stays.  Everything is checked first: if a change is not
 * possible, nothing is changed.  Each option changes by one write to the header, after all new
 * metadata is on stable storage.  A crash leaves a sound image, in which each option has the old
 * or the new value.
 *
 * Version 2 has no zero clusters.  They become unallocated, or clusters full of zeros if the
 * image has a backing file.
 *
 * Return: 0; else @why says
 *	-EROFS       the image was not opened with QC_OPEN_WRITE
 *	-EOPNOTSUPP  the image has something that the wanted option excludes
 *	-EINVAL      an impossible value
 *	-EOVERFLOW   a refcount does not fit into the wanted width
 *	-EFBIG       the refcount table would be too large
 *	-ENAMETOOLONG  the header has no room
 *	-ECANCELED   qc_config.interrupted; some options may have changed
 *	-ENOMEM; else as qc_write()
 */
qc_err qc_amend(struct qc_image *img, const struct qc_amend_options *o, struct qc_reason *why);

/* Checks if qc_amend() may be tried, and changes nothing.  Return: as qc_amend() */
qc_err qc_amend_check(struct qc_image *img, const struct qc_amend_options *o,
		      struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
