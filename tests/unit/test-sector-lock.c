/* SPDX-License-Identifier: MIT */
#include "crypto/sector_lock.h"

#include <stdatomic.h>

#include "random.h"
#include "tap.h"
#include "threads.h"

static struct qc_sector_locks locks;

static bool locks_stripes(uint64_t off, uint64_t len, uint64_t want)
{
	uint64_t got = qc_sector_locks_read(&locks, off, len);

	qc_sector_locks_unlock(&locks, got);
	return got == want;
}

static void a_range_locks_its_stripes(void)
{
	const uint64_t n = QC_SECTOR_LOCK_BYTES;

	qc_sector_locks_init(&locks);
	CHECK(locks_stripes(0, 1, 1));
	CHECK(locks_stripes(0, n, 1));
	CHECK(locks_stripes(n - 1, 2, 3));
	CHECK(locks_stripes(n, 1, 2));
	CHECK(locks_stripes(63 * n, 2 * n, UINT64_C(1) << 63 | 1));
	CHECK(locks_stripes(64 * n, n, 1));
	CHECK(locks_stripes(n / 2, 62 * n, UINT64_MAX >> 1));
	CHECK(locks_stripes(n / 2, 63 * n, UINT64_MAX));
	CHECK(locks_stripes(5 * n, 1000 * n, UINT64_MAX));
	CHECK(locks_stripes(UINT64_MAX - 1, 1, UINT64_C(1) << 63));
	qc_sector_locks_destroy(&locks);
}

static void readers_do_not_wait_for_readers(void)
{
	uint64_t a, b;

	qc_sector_locks_init(&locks);
	a = qc_sector_locks_read(&locks, 0, QC_SECTOR_LOCK_BYTES * 3);
	b = qc_sector_locks_read(&locks, QC_SECTOR_LOCK_BYTES, 1);
	qc_sector_locks_unlock(&locks, a);
	qc_sector_locks_unlock(&locks, b);
	a = qc_sector_locks_write(&locks, 0, 1);
	b = qc_sector_locks_write(&locks, QC_SECTOR_LOCK_BYTES, 1); /* of another stripe */
	qc_sector_locks_unlock(&locks, a);
	qc_sector_locks_unlock(&locks, b);
	qc_sector_locks_destroy(&locks);
}

enum { THREADS = 8, CELLS = 96, TURNS = 3000 };

static unsigned int cell[CELLS]; /* not atomic, so that TSan reports a race */
static atomic_uint torn;

/* A writer sets four cells to one value, one by one.  A reader must not see different
 * values. */
static void *read_or_write_cells(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned int i = 0; i < TURNS; i++) {
		uint64_t a = random_below(&seed, CELLS / 4) * 4;
		bool write = random_below(&seed, 2);
		uint64_t off = a * QC_SECTOR_LOCK_BYTES, len = UINT64_C(4) * QC_SECTOR_LOCK_BYTES, held;

		held = write ? qc_sector_locks_write(&locks, off, len) : qc_sector_locks_read(&locks, off, len);
		for (uint64_t k = a; k < a + 4; k++) {
			if (write)
				cell[k] = i;
			else if (cell[k] != cell[a])
				atomic_fetch_add(&torn, 1);
		}
		qc_sector_locks_unlock(&locks, held);
	}
	return NULL;
}

static void no_reader_sees_half_a_write(void)
{
	uint64_t seed = random_seed();
	pthread_t t[THREADS];

	qc_sector_locks_init(&locks);
	for (int i = 0; i < THREADS; i++)
		t[i] = start(read_or_write_cells, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < THREADS; i++)
		end(t[i]);
	CHECK(!atomic_load(&torn));
	qc_sector_locks_destroy(&locks);
}

int main(void)
{
	RUN(a_range_locks_its_stripes);
	RUN(readers_do_not_wait_for_readers);
	RUN(no_reader_sees_half_a_write);
	return DONE();
}
