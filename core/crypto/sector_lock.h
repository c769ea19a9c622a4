/* SPDX-License-Identifier: MIT */
/*
 * sector_lock.h - who reads, and who writes, which bytes of a file just now.
 *
 * For bytes that mean something only as a whole sector: nobody may read one while
 * it is half written.  The file is dealt out to lanes, piece by piece; in a lane
 * there are any number of readers, or one writer, who goes before new readers.
 * A leaf: nothing else is waited for in a lane but the file.
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

/* The set of lanes that [off, off + len) is in, to be left again. */
uint64_t qc_sector_locks_read(struct qc_sector_locks *l, uint64_t off, uint64_t len);
uint64_t qc_sector_locks_write(struct qc_sector_locks *l, uint64_t off, uint64_t len);
void qc_sector_locks_unlock(struct qc_sector_locks *l, uint64_t lanes);

#endif
