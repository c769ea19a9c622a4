/* SPDX-License-Identifier: MIT */
/* Bits that many threads set while pages are taken away: none is lost, and none is set besides. */
#include "bitmap/dirty_bits.h"

#include <string.h>

#include "base/failpoint.h"
#include "random.h"
#include "tap.h"
#include "threads.h"

enum { PAGE = 512, PAGE_BITS = PAGE * 8 };

static _Atomic uint64_t memory;

static bool is_set(const uint8_t *bytes, uint64_t bit)
{
	return bytes[bit / 8] >> bit % 8 & 1;
}

/* Reads all pages into @to. */
static void copy_all(struct qc_dirty_bits *d, uint8_t *to)
{
	for (uint64_t i = 0; i < d->slots; i++)
		qc_dirty_bits_copy(d, i, to + i * PAGE);
}

static void ranges(void)
{
	enum { BITS = 5 * PAGE_BITS + 77, BYTES = 6 * PAGE };
	uint64_t rnd = random_seed();
	struct qc_dirty_bits d;

	for (unsigned int round = 0; round < 200; round++) {
		uint8_t got[BYTES] = { 0 }, want[BYTES] = { 0 };

		CHECK(!qc_dirty_bits_init(&d, BITS, PAGE, &memory));
		for (unsigned int i = 0; i < 6; i++) {
			uint64_t first = random_below(&rnd, BITS);
			uint64_t n = random_below(&rnd, round % 2 ? 3 * PAGE_BITS : 100);

			qc_dirty_bits_set(&d, first, first + n);
			for (uint64_t k = first; k < first + n && k < BITS; k++)
				want[k / 8] |= (uint8_t)(1 << k % 8);
		}
		copy_all(&d, got);
		for (uint64_t k = 0; k < BITS; k++)
			if (is_set(got, k) != is_set(want, k)) {
				CHECK(is_set(got, k) == is_set(want, k));
				break;
			}
		qc_dirty_bits_free(&d);
	}
	CHECK(memory == 0);
}

static void whole_pages_need_no_memory(void)
{
	uint8_t page[PAGE] = { 0 };
	struct qc_dirty_bits d;

	CHECK(!qc_dirty_bits_init(&d, 100 * PAGE_BITS, PAGE, &memory));
	qc_dirty_bits_set(&d, PAGE_BITS, 100 * PAGE_BITS);
	CHECK(memory == 0 && !qc_dirty_bits_has(&d, 0) && qc_dirty_bits_has(&d, 99));
	qc_dirty_bits_set(&d, 5, 6);
	CHECK(memory == PAGE);
	qc_dirty_bits_take(&d, 0, page);
	CHECK(memory == 0 && page[0] == 1 << 5 && !qc_dirty_bits_has(&d, 0));
	qc_dirty_bits_put(&d, 0, page);
	qc_dirty_bits_coarsen(&d, 0);
	memset(page, 0, PAGE);
	qc_dirty_bits_copy(&d, 0, page);
	CHECK(memory == 0 && page[0] == 0xff && page[PAGE - 1] == 0xff);
	qc_dirty_bits_free(&d);
}

static void another_size_keeps_the_bits_and_adds_none(void)
{
	uint8_t page[PAGE];
	struct qc_dirty_bits d;

	CHECK(!qc_dirty_bits_init(&d, 3 * PAGE_BITS, PAGE, &memory));
	qc_dirty_bits_set(&d, 0, 3 * PAGE_BITS - 1);
	CHECK(!qc_dirty_bits_resize(&d, PAGE_BITS + 3));
	CHECK(!qc_dirty_bits_resize(&d, 3 * PAGE_BITS));
	memset(page, 0, PAGE);
	qc_dirty_bits_copy(&d, 0, page);
	CHECK(page[0] == 0xff && page[PAGE - 1] == 0xff);
	memset(page, 0, PAGE);
	qc_dirty_bits_copy(&d, 1, page);
	CHECK(page[0] == 7 && page[1] == 0 && page[PAGE - 1] == 0);
	CHECK(!qc_dirty_bits_has(&d, 2));
	CHECK(!qc_dirty_bits_resize(&d, 0) && d.slots == 0);
	qc_dirty_bits_set(&d, 0, 5);
	qc_dirty_bits_free(&d);
	CHECK(memory == 0);
}

#ifdef QC_FAILPOINTS
static void without_memory_all_bits_of_the_page_are_set(void)
{
	uint8_t page[PAGE] = { 0 };
	struct qc_dirty_bits d;

	CHECK(!qc_dirty_bits_init(&d, 2 * PAGE_BITS, PAGE, &memory));
	qc_failpoint_once("dirty-bits.page");
	qc_dirty_bits_set(&d, 7, 8);
	qc_dirty_bits_copy(&d, 0, page);
	CHECK(page[0] == 0xff && page[PAGE - 1] == 0xff && !qc_dirty_bits_has(&d, 1));
	qc_dirty_bits_free(&d);
}
#endif

/* ---- threads ------------------------------------------------------------------ */

enum { THREADS = 4, PAGES = 8, ROUNDS = 20000 };

static struct qc_dirty_bits shared;
static atomic_uint running;

/* Sets each THREADS-th bit, in an order that hits all pages. */
static void *set_some(void *arg)
{
	uint64_t me = (uint64_t)(uintptr_t)arg;

	for (uint64_t i = 0; i < ROUNDS; i++) {
		uint64_t bit = (i * 37 % (PAGES * PAGE_BITS / THREADS)) * THREADS + me;

		if (bit % 3)
			qc_dirty_bits_set(&shared, bit, bit + 1);
	}
	atomic_fetch_sub(&running, 1);
	return NULL;
}

static void pages_are_taken_while_bits_are_set(void)
{
	static uint8_t got[PAGES * PAGE];
	pthread_t t[THREADS];

	CHECK(!qc_dirty_bits_init(&shared, PAGES * PAGE_BITS, PAGE, &memory));
	running = THREADS;
	for (uintptr_t i = 0; i < THREADS; i++)
		t[i] = start(set_some, (void *)i);
	while (running)
		for (uint64_t i = 0; i < PAGES; i++)
			qc_dirty_bits_take(&shared, i, got + i * PAGE);
	for (unsigned int i = 0; i < THREADS; i++)
		end(t[i]);
	for (uint64_t i = 0; i < PAGES; i++)
		qc_dirty_bits_take(&shared, i, got + i * PAGE);
	for (uint64_t bit = 0; bit < PAGES * PAGE_BITS; bit++)
		if (is_set(got, bit) != (bit % 3 != 0)) {
			CHECK(is_set(got, bit) == (bit % 3 != 0));
			break;
		}
	CHECK(memory == 0);
	qc_dirty_bits_free(&shared);
}

int main(void)
{
	RUN(ranges);
	RUN(whole_pages_need_no_memory);
	RUN(another_size_keeps_the_bits_and_adds_none);
#ifdef QC_FAILPOINTS
	RUN(without_memory_all_bits_of_the_page_are_set);
#endif
	RUN(pages_are_taken_while_bits_are_set);
	return DONE();
}
