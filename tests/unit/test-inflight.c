/* SPDX-License-Identifier: MIT */
#include "base/inflight.h"

#include <stdbool.h>

#include "random.h"
#include "tap.h"
#include "threads.h"

static struct qc_inflight gate;

/* ---- one at a time ---------------------------------------------------------- */

static void nobody_inside(void)
{
	qc_inflight_init(&gate);
	qc_inflight_synchronize(&gate);
	qc_inflight_end(&gate, qc_inflight_begin(&gate));
	qc_inflight_synchronize(&gate);
	qc_inflight_synchronize(&gate);
	qc_inflight_destroy(&gate);
}

static atomic_bool waited;

static void *wait_once(void *unused)
{
	(void)unused;
	qc_inflight_synchronize(&gate);
	atomic_store(&waited, true);
	return NULL;
}

/* The wait has begun when newcomers are counted on the other side. */
static void await_flip(unsigned int from)
{
	while (atomic_load(&gate.side) == from && !atomic_load(&waited))
		sched_yield();
}

static void wait_lasts_until_those_inside_have_left(void)
{
	struct qc_inflight_token a, b, late;
	pthread_t t;

	qc_inflight_init(&gate);
	atomic_store(&waited, false);
	a = qc_inflight_begin(&gate);
	b = qc_inflight_begin(&gate);
	t = start(wait_once, NULL);
	await_flip(a.side);
	late = qc_inflight_begin(&gate); /* does not wait */
	CHECK(late.side != a.side);
	CHECK(!atomic_load(&waited));
	qc_inflight_end(&gate, a);
	qc_inflight_end(&gate, late);
	CHECK(!atomic_load(&waited));
	qc_inflight_end(&gate, b);
	end(t);
	CHECK(atomic_load(&waited));
	qc_inflight_destroy(&gate);
}

static void *come_and_go(void *unused)
{
	(void)unused;
	for (int i = 0; i < 1000; i++)
		qc_inflight_end(&gate, qc_inflight_begin(&gate));
	return NULL;
}

static void newcomers_go_through_while_somebody_waits(void)
{
	struct qc_inflight_token inside;
	pthread_t waiter, other[3];

	qc_inflight_init(&gate);
	atomic_store(&waited, false);
	inside = qc_inflight_begin(&gate);
	waiter = start(wait_once, NULL);
	await_flip(inside.side);
	for (int i = 0; i < 3; i++)
		other[i] = start(come_and_go, NULL);
	for (int i = 0; i < 3; i++)
		end(other[i]);
	CHECK(!atomic_load(&waited));
	qc_inflight_end(&gate, inside);
	end(waiter);
	qc_inflight_destroy(&gate);
}

/* A newcomer looked at the side, and counted itself only when that side had
 * been given up.  The wait that comes next must not overlook it. */
static void who_counted_itself_late_is_waited_for(void)
{
	struct qc_inflight_token late;
	pthread_t t;

	qc_inflight_init(&gate);
	for (int turn = 0; turn < 2; turn++) {
		atomic_store(&waited, false);
		late = (struct qc_inflight_token){ 0, !atomic_load(&gate.side) };
		atomic_fetch_add(&gate.shard[0].inside[late.side], 1);
		t = start(wait_once, NULL);
		while (!atomic_load(&gate.waiting) && !atomic_load(&waited))
			sched_yield();
		/* Time enough to return too soon; if it was not, nothing is lost. */
		for (int i = 0; i < 3000 && !atomic_load(&waited); i++)
			sched_yield();
		CHECK(!atomic_load(&waited));
		qc_inflight_end(&gate, late);
		end(t);
		CHECK(atomic_load(&waited));
	}
	qc_inflight_destroy(&gate);
}

static void one_thread_may_be_inside_several_times(void)
{
	struct qc_inflight_token p[20];
	pthread_t t;

	qc_inflight_init(&gate);
	atomic_store(&waited, false);
	for (int i = 0; i < 20; i++)
		p[i] = qc_inflight_begin(&gate);
	t = start(wait_once, NULL);
	await_flip(p[0].side);
	for (int i = 0; i < 20; i++) {
		CHECK(!atomic_load(&waited));
		qc_inflight_end(&gate, p[i]);
	}
	end(t);
	qc_inflight_destroy(&gate);
}

/* ---- what it is for --------------------------------------------------------- */

enum { READERS = 8, WRITERS = 2, BOXES = 4, SWAPS = 1000 };

/* As a host cluster that is unlinked, and given away after the grace period. */
struct box {
	uint64_t value, copy; /* plain: TSan, too, shall see a use after it */
};

static _Atomic(struct box *) shown[WRITERS];
static atomic_bool stop;
static atomic_uint torn, looks;

static void *look(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (!atomic_load(&stop)) {
		struct qc_inflight_token pass = qc_inflight_begin(&gate);
		struct box *b = atomic_load(&shown[random_below(&seed, WRITERS)]);
		uint64_t v = b->value;

		if (!(random_u64(&seed) & 15))
			sched_yield();
		if (v == UINT64_MAX || b->copy != v)
			atomic_fetch_add(&torn, 1);
		qc_inflight_end(&gate, pass);
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
		qc_inflight_synchronize(&gate);
		old->value = UINT64_MAX;
		old->copy = UINT64_MAX - 1;
	}
	/* Nobody may look at this stack any more. */
	static struct box last[WRITERS];
	atomic_store(mine, &last[mine - shown]);
	qc_inflight_synchronize(&gate);
	return NULL;
}

static void nobody_sees_what_was_given_away(void)
{
	uint64_t seed = random_seed();
	static struct box first[WRITERS];
	pthread_t reader[READERS], writer[WRITERS];

	qc_inflight_init(&gate);
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
	qc_inflight_destroy(&gate);
}

/* ---- traffic ------------------------------------------------------------------ */

static void *come_by(void *unused)
{
	struct qc_inflight_token pass = qc_inflight_begin(&gate);

	(void)unused;
	qc_io_stats_count_read(&gate, pass, 100);
	qc_io_stats_count_read(&gate, pass, 0);
	qc_io_stats_count_write(&gate, pass, 7);
	qc_inflight_end(&gate, pass);
	return NULL;
}

static void requests_of_all_threads_are_counted(void)
{
	struct qc_io_counters c;

	qc_inflight_init(&gate);
	qc_io_stats_sum(&gate, &c);
	CHECK(!c.reads && !c.read_bytes && !c.writes && !c.written_bytes);
	for (int i = 0; i < 2 * QC_INFLIGHT_SHARDS; i++)
		pthread_join(start(come_by, NULL), NULL);
	qc_io_stats_sum(&gate, &c);
	CHECK(c.reads == 4 * QC_INFLIGHT_SHARDS && c.read_bytes == 200 * QC_INFLIGHT_SHARDS);
	CHECK(c.writes == 2 * QC_INFLIGHT_SHARDS && c.written_bytes == 14 * QC_INFLIGHT_SHARDS);
	qc_inflight_destroy(&gate);
}

int main(void)
{
	RUN(nobody_inside);
	RUN(wait_lasts_until_those_inside_have_left);
	RUN(newcomers_go_through_while_somebody_waits);
	RUN(who_counted_itself_late_is_waited_for);
	RUN(one_thread_may_be_inside_several_times);
	RUN(nobody_sees_what_was_given_away);
	RUN(requests_of_all_threads_are_counted);
	return DONE();
}
