/* SPDX-License-Identifier: MIT */
/*
 * qcow_compare.h - the part of qcow.h that compares disks.
 */
#ifndef QCOW_COMPARE_H
#define QCOW_COMPARE_H

#include "qcow_copy.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qc_compare {
	struct qc_disk a, b; /* images of one context, or raw files */
	uint64_t end;	     /* bytes beyond are not compared; UINT64_MAX: up to the longer end */
	qc_copy_progress_fn *progress; /* may be NULL */
	void *arg;
};

/*
 * qc_compare_disks() - find the first sector in which two disks differ
 * @at:  out: its offset; UINT64_MAX: none
 *
 * Behind its end, a disk reads as zeros.  Holes of both disks, and bytes that both read from one
 * file, are not read.  Reads with several threads, each with a MiB of either disk in memory.
 * Return: 0, also with a difference; -ECANCELED the progress function asked for it;
 *	else as qc_read()
 */
qc_err qc_compare_disks(const struct qc_compare *c, uint64_t *at);

#ifdef __cplusplus
}
#endif
#endif
