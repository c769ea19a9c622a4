/* SPDX-License-Identifier: MIT */
#include "metadata/table_cache.h"

#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/outcome.h"
#include "memfile.h"
#include "random.h"
#include "tap.h"
#include "threads.h"

enum { SLICE = 4096, SLICES = 512 };

static uint8_t bytes[(SLICES + 1) * SLICE];
static struct memfile file;

/* Every word of the file tells where it stands. */
static void fill(void)
{
	for (size_t i = 0; i < sizeof(bytes); i += 8)
		for (size_t k = 0; k < 8; k++)
			bytes[i + k] = (uint8_t)((uint64_t)i >> 8 * (7 - k));
	memfile_init(&file, bytes, sizeof(bytes));
}

static struct qc_budget budget_of(uint64_t slices)
{
	return (struct qc_budget){ .limit = slices * SLICE };
}

static struct qc_cache *cache_of(struct qc_budget *b)
{
	struct qc_cache *c = NULL;

	CHECK(!qc_cache_new(&file.file, SLICE, SLICE, SLICES, b, &c));
	return c;
}

/* Views three words of the slice.  Returns 0, an error, or 1 if they are wrong. */
static int check_slice(struct qc_cache *c, uint64_t offset, uint64_t seed)
{
	struct qc_slice_view v;
	bool good;

	do {
		qc_err r = qc_cache_view(c, offset, &v);

		if (r)
			return r;
		good = be64_get(&v.words[0]) == offset;
		good &= be64_get(&v.words[511]) == offset + 511 * 8;
		good &= be64_get(&v.words[seed % 512]) == offset + seed % 512 * 8;
	} while (!qc_slice_view_valid(&v));
	return !good;
}

static uint64_t offset_of_slice(uint64_t i)
{
	return (i % SLICES + 1) * SLICE;
}

/* ---- one thread ------------------------------------------------------------- */

static void found_again_without_reading(void)
{
	struct qc_budget b = budget_of(SLICES);
	struct qc_cache *c = cache_of(&b);
	uint64_t loads, used;

	file.reads = 0;
	for (int turn = 0; turn < 10; turn++)
		for (uint64_t i = 0; i < 5; i++)
			CHECK(!check_slice(c, offset_of_slice(i), 7));
	CHECK(file.reads == 5 && b.loads == 5);
	CHECK(b.used == 5 * SLICE);
	qc_cache_counters(c, &loads, &used);
	CHECK(loads == 5 && used == 5 * SLICE);
	qc_cache_free(c);
	CHECK(b.used == 0);
}

static void all_slices_fit_a_large_budget(void)
{
	struct qc_budget b = budget_of(16 * SLICES);
	struct qc_cache *c;

	file.reads = 0;
	CHECK(!qc_cache_new(&file.file, SLICE, SLICE, 8 * SLICES, &b, &c));
	for (int turn = 0; turn < 3; turn++)
		for (uint64_t i = 0; i < SLICES; i++)
			CHECK(!check_slice(c, offset_of_slice(i), i));
	CHECK(file.reads == SLICES);
	qc_cache_free(c);
}

static void offsets_need_not_be_aligned(void)
{
	struct qc_budget b = budget_of(SLICES);
	struct qc_cache *c = cache_of(&b);

	CHECK(!check_slice(c, 48, 3));
	CHECK(!check_slice(c, 48 + SLICE, 3));
	CHECK(!check_slice(c, SLICE, 3));
	CHECK(!check_slice(c, 48, 3));
	qc_cache_free(c);
}

static void small_slices(void)
{
	struct qc_budget b = budget_of(1);
	struct qc_cache *c;
	struct qc_slice_view v;

	CHECK(!qc_cache_new(&file.file, 512, 512, SLICES, &b, &c));
	file.reads = 0;
	for (uint64_t offset = 512; offset < 9 * 512; offset += 512) {
		CHECK(!qc_cache_view(c, offset, &v));
		CHECK(be64_get(&v.words[0]) == offset && be64_get(&v.words[63]) == offset + 504);
		CHECK(qc_slice_view_valid(&v));
	}
	CHECK(file.reads == 8 && b.used <= 8 * 512);
	qc_cache_free(c);
}

static void few_slots_go_round(void)
{
	struct qc_budget b = budget_of(8);
	struct qc_cache *c = cache_of(&b);

	for (uint64_t i = 0; i < 4 * SLICES; i++)
		CHECK(!check_slice(c, offset_of_slice(i * 17), i));
	/* Each set may have one slot beyond the budget. */
	CHECK(b.used <= 8 * SLICE + 16 * SLICE);
	CHECK(b.loads > SLICES);
	qc_cache_free(c);
	CHECK(b.used == 0);
}

/* A slice in constant use is not evicted by slices that are used once. */
static void used_slices_stay(void)
{
	struct qc_budget b = budget_of(64);
	struct qc_cache *c = cache_of(&b);
	unsigned int before, missed = 0;

	CHECK(!check_slice(c, offset_of_slice(0), 1));
	for (uint64_t i = 1; i < 5 * SLICES; i++) {
		CHECK(!check_slice(c, offset_of_slice(i), 1));
		before = file.reads;
		CHECK(!check_slice(c, offset_of_slice(0), 1));
		missed += file.reads - before;
	}
	printf("# missed %u times\n", missed);
	CHECK(missed < 6);
	qc_cache_free(c);
}

static void a_view_tells_that_its_slot_was_reused(void)
{
	struct qc_budget b = budget_of(1);
	struct qc_cache *c;
	struct qc_slice_view v;

	CHECK(!qc_cache_new(&file.file, SLICE, SLICE, 1, &b, &c)); /* one set of 8 slots */
	CHECK(!qc_cache_view(c, SLICE, &v));
	CHECK(qc_slice_view_valid(&v));
	for (uint64_t i = 1; i < 30; i++)
		CHECK(!check_slice(c, offset_of_slice(i), 1));
	CHECK(!qc_slice_view_valid(&v));
	qc_cache_free(c);
}

static void two_caches_share_a_budget(void)
{
	struct qc_budget b = budget_of(64);
	struct qc_cache *one = cache_of(&b), *two = cache_of(&b);

	for (uint64_t i = 0; i < 4 * SLICES; i++) {
		CHECK(!check_slice(one, offset_of_slice(i), i));
		CHECK(!check_slice(two, offset_of_slice(i * 5), i));
	}
	CHECK(b.used > 0 && b.used <= (64 + 2 * 16) * SLICE);
	qc_cache_free(one);
	CHECK(b.used <= 64 * SLICE);
	for (uint64_t i = 0; i < SLICES; i++)
		CHECK(!check_slice(two, offset_of_slice(i), i));
	qc_cache_free(two);
	CHECK(b.used == 0);
}

/* Beyond even the second limit, slices are read anew each time. */
static void without_memory_it_is_only_slow(void)
{
	struct qc_budget b = budget_of(1);
	struct qc_cache *c = cache_of(&b);
	uint64_t was;

	b.used = UINT64_C(1) << 40;
	was = b.used;
	file.reads = 0;
	for (int turn = 0; turn < 4; turn++)
		for (uint64_t i = 0; i < 10; i++)
			CHECK(!check_slice(c, offset_of_slice(i), i));
	CHECK(file.reads == 40 && b.loads == 40);
	CHECK(b.used == was);
	file.fail = 1;
	CHECK(check_slice(c, offset_of_slice(1), 1) == -EIO);
	CHECK(!check_slice(c, offset_of_slice(1), 1));
	qc_cache_free(c);
	CHECK(b.used == was);
}

/* ---- the end of the file, and errors ---------------------------------------- */

static void a_slice_may_run_over_the_end(void)
{
	struct qc_budget b = budget_of(64);
	struct qc_cache *c = cache_of(&b);
	struct qc_slice_view v;

	file.size = 3 * SLICE + 16;
	CHECK(!qc_cache_view(c, 3 * SLICE, &v));
	CHECK(be64_get(&v.words[1]) == 3 * SLICE + 8);
	CHECK(be64_get(&v.words[2]) == 0 && be64_get(&v.words[511]) == 0);
	CHECK(qc_cache_view(c, 4 * SLICE, &v) == -EIO);
	CHECK(qc_cache_view(c, UINT64_C(1) << 62, &v) == -EIO);
	file.size = sizeof(bytes);
	CHECK(!check_slice(c, 4 * SLICE, 1)); /* a failure is not kept */
	qc_cache_free(c);
}

static void the_last_cluster_need_not_be_whole(void)
{
	struct qc_budget b = budget_of(64);
	struct qc_cache *c;
	struct qc_slice_view v;

	CHECK(!qc_cache_new(&file.file, SLICE, 4 * SLICE, SLICES, &b, &c));
	file.size = 4 * SLICE + 8;
	CHECK(!qc_cache_view(c, 7 * SLICE, &v) && be64_get(&v.words[0]) == 0);
	CHECK(qc_cache_view(c, 8 * SLICE, &v) == -EIO);
	file.size = 4 * SLICE;
	CHECK(qc_cache_view(c, 5 * SLICE, &v) == -EIO);
	file.size = sizeof(bytes);
	qc_cache_free(c);
}

static void a_failed_read_is_tried_again(void)
{
	struct qc_budget b = budget_of(64);
	struct qc_cache *c = cache_of(&b);

	file.fail = 2;
	CHECK(check_slice(c, SLICE, 1) == -EIO);
	CHECK(check_slice(c, SLICE, 1) == -EIO);
	CHECK(!check_slice(c, SLICE, 1));
	CHECK(!check_slice(c, SLICE, 1));
	CHECK(b.loads == 3);
	qc_cache_free(c);
}

/* ---- many threads ----------------------------------------------------------- */

enum { THREADS = 8 };

static struct qc_cache *shared[2];
static atomic_uint wrong, failed;
static unsigned int rounds;

static void *look_around(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (unsigned int i = 0; i < rounds; i++) {
		struct qc_cache *c = shared[random_below(&seed, 2)];
		/* Mostly a few slices, sometimes any. */
		uint64_t n = random_below(&seed, 4) ? 40 : SLICES;
		int r = check_slice(c, offset_of_slice(random_below(&seed, n)), random_u64(&seed));

		if (r > 0)
			atomic_fetch_add(&wrong, 1);
		if (r < 0)
			atomic_fetch_add(&failed, 1);
	}
	return NULL;
}

static void crowd(uint64_t *seed, uint64_t slices, unsigned int n)
{
	struct qc_budget b = budget_of(slices);
	pthread_t t[THREADS];

	shared[0] = cache_of(&b);
	shared[1] = cache_of(&b);
	wrong = failed = 0;
	rounds = n;
	for (int i = 0; i < THREADS; i++)
		t[i] = start(look_around, (void *)(uintptr_t)random_u64(seed));
	for (int i = 0; i < THREADS; i++)
		end(t[i]);
	CHECK(!wrong);
	qc_cache_free(shared[0]);
	qc_cache_free(shared[1]);
	CHECK(b.used == 0);
}

static void nobody_sees_a_wrong_slice(void)
{
	uint64_t seed = random_seed();
	static const uint64_t slices[] = { 1, 16, 64, 2 * SLICES };

	for (int i = 0; i < 4; i++) {
		crowd(&seed, slices[i], 3000);
		CHECK(!failed);
	}
}

static void nor_while_reads_fail(void)
{
	uint64_t seed = random_seed();

	file.fail = 200;
	crowd(&seed, 16, 3000);
	CHECK(failed > 0 && failed <= 200);
	file.fail = 0;
}

#ifdef QC_FAILPOINTS

static void *look_once(void *arg)
{
	CHECK(!check_slice(shared[0], *(uint64_t *)arg, 1));
	return NULL;
}

static void one_load_for_all_who_wait(void)
{
	struct qc_budget b = budget_of(64);
	uint64_t offset = offset_of_slice(3), other = offset_of_slice(4);
	pthread_t t[4];

	shared[0] = cache_of(&b);
	qc_failpoint_park("cache.load");
	t[0] = start(look_once, &offset);
	qc_failpoint_await("cache.load");
	for (int i = 1; i < 4; i++)
		t[i] = start(look_once, &offset);
	CHECK(!check_slice(shared[0], other, 1)); /* others are not held up */
	CHECK(b.loads == 2);
	qc_failpoint_resume("cache.load");
	for (int i = 0; i < 4; i++)
		end(t[i]);
	CHECK(b.loads == 2);
	qc_cache_free(shared[0]);
}

static void all_slots_loading(void)
{
	struct qc_budget b = budget_of(1);
	uint64_t offset = offset_of_slice(3), other = offset_of_slice(4);
	pthread_t t[3];

	CHECK(!qc_cache_new(&file.file, SLICE, SLICE, 1, &b, &shared[0]));
	b.limit = 0; /* one set, one slot */
	qc_failpoint_park("cache.load");
	t[0] = start(look_once, &offset);
	qc_failpoint_await("cache.load");
	t[1] = start(look_once, &other);
	t[2] = start(look_once, &offset);
	qc_failpoint_resume("cache.load");
	for (int i = 0; i < 3; i++)
		end(t[i]);
	CHECK(b.used == SLICE);
	qc_cache_free(shared[0]);
}

static atomic_int outcome[2];

static void *look_and_tell(void *arg)
{
	atomic_int *to = arg;

	*to = check_slice(shared[0], offset_of_slice(9), 1);
	return NULL;
}

/* Only the loader gets its error; a thread that waited for the slice tries again. */
static void who_waits_for_a_load_that_fails_tries_again(void)
{
	struct qc_budget b = budget_of(64);
	pthread_t t[2];

	shared[0] = cache_of(&b);
	qc_failpoint_park("cache.load");
	t[0] = start(look_and_tell, &outcome[0]);
	qc_failpoint_await("cache.load");
	t[1] = start(look_and_tell, &outcome[1]);
	file.fail = 1;
	qc_failpoint_resume("cache.load");
	end(t[0]);
	end(t[1]);
	CHECK((outcome[0] == -EIO) + (outcome[1] == -EIO) == 1);
	CHECK((outcome[0] == 0) + (outcome[1] == 0) == 1);
	CHECK(!check_slice(shared[0], offset_of_slice(9), 1));
	qc_cache_free(shared[0]);
}

#endif

/* ---- dirty slices ----------------------------------------------------------- */

static void set_first_word(void *arg, struct be64 *words)
{
	be64_put(&words[0], *(uint64_t *)arg);
}

static qc_err modify(struct qc_cache *c, uint64_t i)
{
	uint64_t value = 1000 + i;

	return qc_cache_modify(c, offset_of_slice(i), set_first_word, &value);
}

static uint64_t first_word(struct qc_cache *c, uint64_t i)
{
	struct qc_slice_view v;

	return qc_cache_view(c, offset_of_slice(i), &v) ? UINT64_MAX : be64_get(&v.words[0]);
}

/* The only set has memory for seven slots.  A view does without one; a change has to wait for a writeback. */
static void a_set_of_dirty_slices_asks_for_a_checkpoint(void)
{
	struct qc_budget b = budget_of(7);
	struct qc_cache *c = cache_of(&b);
	struct qc_dirty_slices dirty;

	for (uint64_t i = 0; i < 7; i++)
		CHECK(!modify(c, i) && first_word(c, i) == 1000 + i);
	CHECK(modify(c, 7) == QC_RETRY_CHECKPOINT && !check_slice(c, offset_of_slice(7), 1));
	CHECK(!modify(c, 3) && qc_cache_is_dirty(c));
	CHECK(!qc_cache_writeback_begin(c, &dirty) && dirty.n == 7 && !qc_cache_is_dirty(c));
	for (size_t i = 0; i < dirty.n; i++) {
		CHECK(dirty.slice[i].offset == offset_of_slice(i));
		CHECK(be64_at(dirty.slice[i].bytes) == 1000 + i);
	}
	qc_cache_writeback_end(c, &dirty, true);
	CHECK(!modify(c, 7) && first_word(c, 7) == 1007 && qc_cache_is_dirty(c));
	qc_cache_free(c);
}

static void a_failed_writeback_leaves_slices_dirty(void)
{
	struct qc_budget b = budget_of(7);
	struct qc_cache *c = cache_of(&b);
	struct qc_dirty_slices dirty;

	CHECK(!modify(c, 0) && !modify(c, 1));
	CHECK(!qc_cache_writeback_begin(c, &dirty) && dirty.n == 2);
	CHECK(!modify(c, 0)); /* dirty again, while a copy is being written */
	qc_cache_invalidate(c, offset_of_slice(1), SLICE);
	qc_cache_writeback_end(c, &dirty, false);
	CHECK(!qc_cache_writeback_begin(c, &dirty) && dirty.n == 1);
	CHECK(dirty.slice[0].offset == offset_of_slice(0));
	qc_cache_writeback_end(c, &dirty, true);
	CHECK(!qc_cache_is_dirty(c) && first_word(c, 0) == 1000);
	CHECK(!check_slice(c, offset_of_slice(1), 1)); /* as it is in the file */
	qc_cache_free(c);
}

int main(void)
{
	fill();
	RUN(found_again_without_reading);
	RUN(all_slices_fit_a_large_budget);
	RUN(offsets_need_not_be_aligned);
	RUN(small_slices);
	RUN(few_slots_go_round);
	RUN(used_slices_stay);
	RUN(a_view_tells_that_its_slot_was_reused);
	RUN(two_caches_share_a_budget);
	RUN(without_memory_it_is_only_slow);
	RUN(a_slice_may_run_over_the_end);
	RUN(the_last_cluster_need_not_be_whole);
	RUN(a_failed_read_is_tried_again);
	RUN(nobody_sees_a_wrong_slice);
	RUN(nor_while_reads_fail);
#ifdef QC_FAILPOINTS
	RUN(one_load_for_all_who_wait);
	RUN(all_slots_loading);
	RUN(who_waits_for_a_load_that_fails_tries_again);
#endif
	RUN(a_set_of_dirty_slices_asks_for_a_checkpoint);
	RUN(a_failed_writeback_leaves_slices_dirty);
	return DONE();
}
