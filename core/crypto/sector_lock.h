/* SPDX-License-Identifier: MIT */
/*
 * sector_lock.h - striped locks on the sectors of an encrypted file.
 *
 * An encrypted sector has a meaning only as a whole: a reader must not see one that is
 * half written.  Plain files need no such lock.  The file is divided into pieces of
 * QC_SECTOR_LOCK_BYTES, and piece i belongs to stripe i modulo QC_SECTOR_LOCKS.  A stripe
 * is a read-write lock that prefers writers.  The locks have no rank: while a thread holds
 * stripes it does file I/O and takes no other lock.
 */
#ifndef QC_SECTOR_LOCK_H
#define QC_SECTOR_LOCK_H

#include <pthread.h>

#include "base/util.h"

enum { QC_SECTOR_LOCKS = 64, QC_SECTOR_LOCK_BYTES = 64 * 1024 };

struct qc_sector_locks {
	struct qc_sector_lock {
		_Alignas(64) pthread_rwlock_t lock;
	} stripe[QC_SECTOR_LOCKS];
};

void qc_sector_locks_init(struct qc_sector_locks *l);
void qc_sector_locks_destroy(struct qc_sector_locks *l);

/* Locks the stripes of the bytes [off, off + len), len > 0, for reading or for writing.
 * Returns the set of stripes, one bit each, for qc_sector_locks_unlock(). */
uint64_t qc_sector_locks_read(struct qc_sector_locks *l, uint64_t off, uint64_t len);
uint64_t qc_sector_locks_write(struct qc_sector_locks *l, uint64_t off, uint64_t len);
void qc_sector_locks_unlock(struct qc_sector_locks *l, uint64_t stripes);

#endif
