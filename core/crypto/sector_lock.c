/* SPDX-License-Identifier: MIT */
#include "crypto/sector_lock.h"

void qc_sector_locks_init(struct qc_sector_locks *l)
{
	pthread_rwlockattr_t a;

	pthread_rwlockattr_init(&a);
#ifdef __GLIBC__
	pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
	for (int i = 0; i < QC_SECTOR_LOCKS; i++)
		pthread_rwlock_init(&l->stripe[i].lock, &a);
	pthread_rwlockattr_destroy(&a);
}

void qc_sector_locks_destroy(struct qc_sector_locks *l)
{
	for (int i = 0; i < QC_SECTOR_LOCKS; i++)
		pthread_rwlock_destroy(&l->stripe[i].lock);
}

static uint64_t stripes_of_range(uint64_t off, uint64_t len)
{
	uint64_t first = off / QC_SECTOR_LOCK_BYTES;
	uint64_t n = (off + len - 1) / QC_SECTOR_LOCK_BYTES - first + 1, stripes = 0;

	if (n >= QC_SECTOR_LOCKS)
		return UINT64_MAX;
	for (uint64_t i = 0; i < n; i++)
		stripes |= UINT64_C(1) << (first + i) % QC_SECTOR_LOCKS;
	return stripes;
}

/* All threads lock stripes in ascending order, so that two never wait for each other. */
uint64_t qc_sector_locks_read(struct qc_sector_locks *l, uint64_t off, uint64_t len)
{
	uint64_t stripes = stripes_of_range(off, len);

	for (uint64_t left = stripes; left; left &= left - 1)
		pthread_rwlock_rdlock(&l->stripe[__builtin_ctzll(left)].lock);
	return stripes;
}

uint64_t qc_sector_locks_write(struct qc_sector_locks *l, uint64_t off, uint64_t len)
{
	uint64_t stripes = stripes_of_range(off, len);

	for (uint64_t left = stripes; left; left &= left - 1)
		pthread_rwlock_wrlock(&l->stripe[__builtin_ctzll(left)].lock);
	return stripes;
}

void qc_sector_locks_unlock(struct qc_sector_locks *l, uint64_t stripes)
{
	for (; stripes; stripes &= stripes - 1)
		pthread_rwlock_unlock(&l->stripe[__builtin_ctzll(stripes)].lock);
}
