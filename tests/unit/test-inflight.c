/* SPDX-License-Identifier: MIT */
#include "base/inflight.h"

#include <stdbool.h>

#include "random.h"
#include "tap.h"
#include "threads.h"

static struct qc_inflight inflight;

/* ---- one at a time ---------------------------------------------------------- */

static void no_request_is_in_flight(void)
{
	qc_inflight_init(&inflight);
	qc_inflight_synchronize(&inflight);
	qc_inflight_end(&inflight, qc_inflight_begin(&inflight));
	qc_inflight_synchronize(&inflight);
	qc_inflight_synchronize(&inflight);
	qc_inflight_destroy(&inflight);
}

static atomic_bool waited;

static void *wait_once(void *unused)
{
	(void)unused;
	qc_inflight_synchronize(&inflight);
	atomic_store(&waited, true);
	return NULL;
}

/* Waits until new requests are counted on the other side: the grace period has begun. */
static void await_flip(unsigned int from)
{
	while (atomic_load(&inflight.side) == from && !atomic_load(&waited))
		sched_yield();
}

static void a_grace_period_lasts_until_requests_have_ended(void)
{
	struct qc_inflight_token a, b, late;
	pthread_t t;

	qc_inflight_init(&inflight);
	atomic_store(&waited, false);
	a = qc_inflight_begin(&inflight);
	b = qc_inflight_begin(&inflight);
	t = start(wait_once, NULL);
	await_flip(a.side);
	late = qc_inflight_begin(&inflight); /* does not wait */
	CHECK(late.side != a.side);
	CHECK(!atomic_load(&waited));
	qc_inflight_end(&inflight, a);
	qc_inflight_end(&inflight, late);
	CHECK(!atomic_load(&waited));
	qc_inflight_end(&inflight, b);
	end(t);
	CHECK(atomic_load(&waited));
	qc_inflight_destroy(&inflight);
}

static void *begin_and_end(void *unused)
{
	(void)unused;
	for (int i = 0; i < 1000; i++)
		qc_inflight_end(&inflight, qc_inflight_begin(&inflight));
	return NULL;
}

static void new_requests_do_not_wait_for_a_grace_period(void)
{
	struct qc_inflight_token open;
	pthread_t waiter, other[3];

	qc_inflight_init(&inflight);
	atomic_store(&waited, false);
	open = qc_inflight_begin(&inflight);
	waiter = start(wait_once, NULL);
	await_flip(open.side);
	for (int i = 0; i < 3; i++)
		other[i] = start(begin_and_end, NULL);
	for (int i = 0; i < 3; i++)
		end(other[i]);
	CHECK(!atomic_load(&waited));
	qc_inflight_end(&inflight, open);
	end(waiter);
	qc_inflight_destroy(&inflight);
}

/* The request read `side`, and incremented that counter only after a waiter had drained the
 * side.  The next waiter must not overlook the request. */
static void a_request_counted_on_the_drained_side_is_waited_for(void)
{
	struct qc_inflight_token late;
	pthread_t t;

	qc_inflight_init(&inflight);
	for (int round = 0; round < 2; round++) {
		atomic_store(&waited, false);
		late = (struct qc_inflight_token){ 0, !atomic_load(&inflight.side) };
		atomic_fetch_add(&inflight.shard[0].count[late.side], 1);
		t = start(wait_once, NULL);
		while (!atomic_load(&inflight.waiting) && !atomic_load(&waited))
			sched_yield();
		/* Gives a wrong waiter time to return too soon. */
		for (int i = 0; i < 3000 && !atomic_load(&waited); i++)
			sched_yield();
		CHECK(!atomic_load(&waited));
		qc_inflight_end(&inflight, late);
		end(t);
		CHECK(atomic_load(&waited));
	}
	qc_inflight_destroy(&inflight);
}

static void one_thread_may_have_several_requests(void)
{
	struct qc_inflight_token p[20];
	pthread_t t;

	qc_inflight_init(&inflight);
	atomic_store(&waited, false);
	for (int i = 0; i < 20; i++)
		p[i] = qc_inflight_begin(&inflight);
	t = start(wait_once, NULL);
	await_flip(p[0].side);
	for (int i = 0; i < 20; i++) {
		CHECK(!atomic_load(&waited));
		qc_inflight_end(&inflight, p[i]);
	}
	end(t);
	qc_inflight_destroy(&inflight);
}

/* ---- deferred frees --------------------------------------------------------- */

enum { READERS = 8, WRITERS = 2, BOXES = 4, SWAPS = 1000 };

/* Like a host cluster that is unlinked, and allocated again after the grace period. */
struct box {
	uint64_t value, copy; /* not atomic, so that TSan reports a use after the grace period */
};

static _Atomic(struct box *) shown[WRITERS];
static atomic_bool stop;
static atomic_uint torn, looks;

static void *look(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		struct qc_inflight_token token = qc_inflight_begin(&inflight);
		struct box *b = atomic_load(&shown[random_below(&seed, WRITERS)]);
		uint64_t v = b->value;

		if (!(random_u64(&seed) & 15))
			sched_yield();
		if (v == UINT64_MAX || b->copy != v)
			atomic_fetch_add(&torn, 1);
		qc_inflight_end(&inflight, token);
		atomic_fetch_add(&looks, 1);
	}
	return NULL;
}

static void *swap(void *arg)
{
	_Atomic(struct box *) *mine = arg;
	struct box box[BOXES] = { 0 };

	for (unsigned int i = 1; i <= SWAPS; i++) {
		struct box *old, *new = &box[i % BOXES];

		new->value = new->copy = i;
		old = atomic_exchange(mine, new);
		qc_inflight_synchronize(&inflight);
		old->value = UINT64_MAX;
		old->copy = UINT64_MAX - 1;
	}
	/* No reader may use this stack after the return. */
	static struct box last[WRITERS];
	atomic_store(mine, &last[mine - shown]);
	qc_inflight_synchronize(&inflight);
	return NULL;
}

static void no_request_sees_a_box_freed_after_a_grace_period(void)
{
	uint64_t seed = random_seed();
	static struct box first[WRITERS];
	pthread_t reader[READERS], writer[WRITERS];

	qc_inflight_init(&inflight);
	for (int i = 0; i < WRITERS; i++)
		atomic_store(&shown[i], &first[i]);
	for (int i = 0; i < READERS; i++)
		reader[i] = start(look, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < WRITERS; i++)
		writer[i] = start(swap, (void *)&shown[i]);
	for (int i = 0; i < WRITERS; i++)
		end(writer[i]);
	atomic_store(&stop, true);
	for (int i = 0; i < READERS; i++)
		end(reader[i]);
	printf("# %u looks\n", atomic_load(&looks));
	CHECK(atomic_load(&torn) == 0);
	qc_inflight_destroy(&inflight);
}

int main(void)
{
	RUN(no_request_is_in_flight);
	RUN(a_grace_period_lasts_until_requests_have_ended);
	RUN(new_requests_do_not_wait_for_a_grace_period);
	RUN(a_request_counted_on_the_drained_side_is_waited_for);
	RUN(one_thread_may_have_several_requests);
	RUN(no_request_sees_a_box_freed_after_a_grace_period);
	return DONE();
}
