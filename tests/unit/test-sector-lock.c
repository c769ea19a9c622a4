/* SPDX-License-Identifier: MIT */
#include "crypto/sector_lock.h"

#include <stdatomic.h>

#include "random.h"
#include "tap.h"
#include "threads.h"

static struct qc_sector_locks lanes;

static bool same_lanes(uint64_t off, uint64_t len, uint64_t want)
{
	uint64_t got = qc_sector_locks_read(&lanes, off, len);

	qc_sector_locks_unlock(&lanes, got);
	return got == want;
}

static void which_lanes(void)
{
	const uint64_t n = QC_SECTOR_LOCK_BYTES;

	qc_sector_locks_init(&lanes);
	CHECK(same_lanes(0, 1, 1));
	CHECK(same_lanes(0, n, 1));
	CHECK(same_lanes(n - 1, 2, 3));
	CHECK(same_lanes(n, 1, 2));
	CHECK(same_lanes(63 * n, 2 * n, UINT64_C(1) << 63 | 1));
	CHECK(same_lanes(64 * n, n, 1));
	CHECK(same_lanes(n / 2, 62 * n, UINT64_MAX >> 1));
	CHECK(same_lanes(n / 2, 63 * n, UINT64_MAX));
	CHECK(same_lanes(5 * n, 1000 * n, UINT64_MAX));
	CHECK(same_lanes(UINT64_MAX - 1, 1, UINT64_C(1) << 63));
	qc_sector_locks_destroy(&lanes);
}

static void readers_do_not_wait_for_readers(void)
{
	uint64_t a, b;

	qc_sector_locks_init(&lanes);
	a = qc_sector_locks_read(&lanes, 0, QC_SECTOR_LOCK_BYTES * 3);
	b = qc_sector_locks_read(&lanes, QC_SECTOR_LOCK_BYTES, 1);
	qc_sector_locks_unlock(&lanes, a);
	qc_sector_locks_unlock(&lanes, b);
	a = qc_sector_locks_write(&lanes, 0, 1);
	b = qc_sector_locks_write(&lanes, QC_SECTOR_LOCK_BYTES, 1); /* of another lane */
	qc_sector_locks_unlock(&lanes, a);
	qc_sector_locks_unlock(&lanes, b);
	qc_sector_locks_destroy(&lanes);
}

enum { THREADS = 8, CELLS = 96, TURNS = 3000 };

static unsigned int cell[CELLS]; /* plain: TSan, too, shall see two at once */
static atomic_uint torn;

/* Writers make all cells of a stretch alike, step by step; a reader must not see
 * the steps. */
static void *use(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned int i = 0; i < TURNS; i++) {
		uint64_t a = random_below(&seed, CELLS / 4) * 4;
		bool write = random_below(&seed, 2);
		uint64_t off = a * QC_SECTOR_LOCK_BYTES, len = UINT64_C(4) * QC_SECTOR_LOCK_BYTES, held;

		held = write ? qc_sector_locks_write(&lanes, off, len) : qc_sector_locks_read(&lanes, off, len);
		for (uint64_t k = a; k < a + 4; k++) {
			if (write)
				cell[k] = i;
			else if (cell[k] != cell[a])
				atomic_fetch_add(&torn, 1);
		}
		qc_sector_locks_unlock(&lanes, held);
	}
	return NULL;
}

static void nobody_reads_what_is_half_written(void)
{
	uint64_t seed = random_seed();
	pthread_t t[THREADS];

	qc_sector_locks_init(&lanes);
	for (int i = 0; i < THREADS; i++)
		t[i] = start(use, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < THREADS; i++)
		end(t[i]);
	CHECK(!atomic_load(&torn));
	qc_sector_locks_destroy(&lanes);
}

int main(void)
{
	RUN(which_lanes);
	RUN(readers_do_not_wait_for_readers);
	RUN(nobody_reads_what_is_half_written);
	return DONE();
}
