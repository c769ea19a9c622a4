/* SPDX-License-Identifier: MIT */
#include "update/range_lock.h"

#include <stdatomic.h>

#include "random.h"
#include "tap.h"
#include "threads.h"

static struct qc_range_locks locks;

static void disjoint_ones_do_not_wait(void)
{
	struct qc_locked_range a, b, c;

	qc_range_locks_init(&locks);
	qc_range_lock(&locks, &a, 0, 512);
	qc_range_lock(&locks, &b, 512, 1024);
	qc_range_lock(&locks, &c, UINT64_MAX - 1, UINT64_MAX);
	qc_range_unlock(&locks, &b);
	qc_range_lock(&locks, &b, 512, 1024);
	qc_range_unlock(&locks, &a);
	qc_range_unlock(&locks, &c);
	qc_range_unlock(&locks, &b);
	qc_range_locks_destroy(&locks);
}

struct waiter {
	uint64_t first, end;
	unsigned int came; /* its place in the order of locking */
};

static atomic_uint next;

static void *wait_for(void *arg)
{
	struct waiter *w = arg;
	struct qc_locked_range mine;

	qc_range_lock(&locks, &mine, w->first, w->end);
	w->came = atomic_fetch_add(&next, 1);
	qc_range_unlock(&locks, &mine);
	return NULL;
}

static size_t queued(void)
{
	size_t n = 0;

	qc_lock(&locks.lock);
	for (const struct qc_locked_range *c = locks.oldest; c; c = c->next)
		n++;
	qc_unlock(&locks.lock);
	return n;
}

/* Each waits for all before it that overlap, though those only wait themselves. */
static void overlapping_ones_come_in_order(void)
{
	struct waiter w[4] = { { 0, 10, 0 }, { 9, 20, 0 }, { 15, 30, 0 }, { 29, 30, 0 } };
	struct qc_locked_range first;
	pthread_t t[4];

	qc_range_locks_init(&locks);
	atomic_store(&next, 0);
	qc_range_lock(&locks, &first, 5, 6);
	for (size_t i = 0; i < 4; i++) {
		t[i] = start(wait_for, &w[i]);
		while (queued() < i + 2)
			sched_yield();
	}
	CHECK(!atomic_load(&next));
	qc_range_unlock(&locks, &first);
	for (size_t i = 0; i < 4; i++) {
		end(t[i]);
		CHECK(w[i].came == i);
	}
	qc_range_locks_destroy(&locks);
}

enum { THREADS = 8, CELLS = 32, TURNS = 2000 };

static unsigned int cell[CELLS]; /* plain: TSan, too, shall see two at once */
static atomic_uint clashes;

static void *lock_some(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	for (int i = 0; i < TURNS; i++) {
		uint64_t a = random_below(&seed, CELLS);
		uint64_t b = a + 1 + random_below(&seed, CELLS - a) % 5;
		struct qc_locked_range mine;

		qc_range_lock(&locks, &mine, a, b);
		for (uint64_t k = a; k < b; k++)
			if (cell[k]++)
				atomic_fetch_add(&clashes, 1);
		for (uint64_t k = a; k < b; k++)
			cell[k]--;
		qc_range_unlock(&locks, &mine);
	}
	return NULL;
}

static void nobody_shares_a_cell(void)
{
	uint64_t seed = random_seed();
	pthread_t t[THREADS];

	qc_range_locks_init(&locks);
	for (int i = 0; i < THREADS; i++)
		t[i] = start(lock_some, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < THREADS; i++)
		end(t[i]);
	CHECK(!atomic_load(&clashes));
	CHECK(!locks.oldest && locks.tail == &locks.oldest);
	qc_range_locks_destroy(&locks);
}

int main(void)
{
	RUN(disjoint_ones_do_not_wait);
	RUN(overlapping_ones_come_in_order);
	RUN(nobody_shares_a_cell);
	return DONE();
}
