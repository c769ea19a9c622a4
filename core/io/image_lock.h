/* SPDX-License-Identifier: MIT */
/*
 * image_lock.h - QEMU's image locking.
 *
 * QEMU has one byte of the file for each permission p.  A program that uses p holds a
 * shared lock on byte 100 + p; one that does not share p holds one on byte 200 + p.  Each
 * program locks first and tests then, so of two at the same time at least one sees the
 * other.  The locks belong to the open file description (OFD) and end with it.
 */
#ifndef QC_IMAGE_LOCK_H
#define QC_IMAGE_LOCK_H

#include "base/util.h"

/*
 * qc_image_lock_read() - lock an image for reading
 * @has_writer:  out: another program writes the image; only with QC_LOCKING_SHARE
 *
 * Return: 0; -EBUSY another program writes the image; @why names the program;
 *	else as fcntl(2)
 */
qc_err qc_image_lock_read(int fd, enum qc_locking how, bool *has_writer, struct qc_reason *why);

/*
 * qc_image_lock_write() - lock an image for writing
 * @read_fd:   holds locks for reading, and gives up those that exclude writers.  On failure it asks
 *	       for them again: if another program was faster, it holds no lock any more
 * @write_fd:  another open file description of the same file, which gets the locks
 *
 * Return: 0; -EBUSY another program uses the image; -EROFS with QC_LOCKING_SHARE;
 *	else as fcntl(2)
 */
qc_err qc_image_lock_write(int read_fd, int write_fd, enum qc_locking how,
			 struct qc_reason *why);

/* Returns the permissions that other programs use and do not share.  Takes no lock. */
void qc_image_lock_query(int fd, struct qc_locks *out);

/* Returns -EBUSY if qc_image_lock_read() would fail now.  Takes no lock. */
qc_err qc_image_lock_test(int fd, enum qc_locking how, struct qc_reason *why);

#endif
