/* SPDX-License-Identifier: MIT */
/*
 * qcow_compact.h - the part of qcow.h that makes an image file shorter, in place.
 */
#ifndef QCOW_COMPACT_H
#define QCOW_COMPACT_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Told how many bytes were moved, of about @total.  Return: false: end now. */
typedef bool qc_compact_fn(void *arg, uint64_t done, uint64_t total);

struct qc_compact_result {
	uint64_t bytes_before, bytes_after; /* length of the image file */
	uint64_t moved;			    /* bytes */
	bool interrupted;		    /* @fn wanted the end; a part of the work is done */
};

/*
 * qc_compact() - move clusters from the end of the image file into free ones, and cut the file
 * @img:  opened with QC_OPEN_WRITE; QC_OPEN_NO_BACKING will do
 * @fn:   may be NULL
 *
 * Moves data, compressed clusters and all tables, those of snapshots and bitmaps, too.  What the
 * disk and its snapshots read stays.  Leaked clusters are freed first.  A cluster is freed when no
 * table on stable storage references it any more: a crash leaks clusters at most.  Memory does not
 * grow with the image.  No snapshot of the image may be open.
 *
 * Return: 0; else @why says
 *	-EROFS       the image was not opened with QC_OPEN_WRITE
 *	-EOPNOTSUPP  version 1, which does not count references
 *	-EIO         the image is damaged, and must be repaired before
 *	-ENOMEM; else as qc_write()
 */
qc_err qc_compact(struct qc_image *img, qc_compact_fn *fn, void *arg,
		  struct qc_compact_result *out, struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
