/* SPDX-License-Identifier: MIT */
/*
 * image_lock.h - the locks by which QEMU's programs keep off each other's images.
 *
 * One byte of the file per permission: 100 + p is share-locked by who uses it,
 * 200 + p by who does not let others use it.  Each side first locks and then
 * tests, so two that come at once see each other.  The locks live as long as
 * the open file does.
 */
#ifndef QC_IMAGE_LOCK_H
#define QC_IMAGE_LOCK_H

#include "base/util.h"

/* Locks the file of this descriptor for reading.  -EBUSY if somebody writes
 * it, and then *why names who; when sharing that is no failure, but *live. */
qc_err qc_image_lock_read(int fd, enum qc_locking how, bool *live, struct qc_reason *why);

/* Locks it for writing through `write_fd`, in place of the locks for reading that
 * `read_fd` holds.  On failure those stay. */
qc_err qc_image_lock_write(int read_fd, int write_fd, enum qc_locking how,
			 struct qc_reason *why);

/* What other open files of this one hold and refuse; takes nothing. */
void qc_image_lock_query(int fd, struct qc_locks *out);

/* -EBUSY if qc_image_lock_read() would fail now; takes nothing. */
qc_err qc_image_lock_test(int fd, enum qc_locking how, struct qc_reason *why);

#endif
