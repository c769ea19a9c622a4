/* SPDX-License-Identifier: MIT */
/* A crash while one flushes and another writes: during each sync there are writes. */
#include "crash.h"

static pthread_t writer;
static bool running, started;
static uint64_t next_off;

static void *write_some(void *arg)
{
	uint64_t size = qc_size(rig.img);

	(void)arg;
	for (int i = 0; i < 3; i++) {
		CHECK(!g_write(next_off, 9 * K));
		next_off = (next_off + 17 * K) / 512 * 512 % (size - 9 * K) / 512 * 512;
	}
	return NULL;
}

/* Waits for the writer for 50 ms: the thread that syncs may hold what the writer needs. */
static void writer_wait(void)
{
	struct timespec until;

	if (!started)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 50000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	if (!pthread_timedjoin_np(writer, NULL, &until))
		started = false;
}

/* However long it takes: a writer that is still there would write to the next image. */
static void writer_end(void)
{
	if (started)
		pthread_join(writer, NULL);
	started = false;
}

static void during_sync(void)
{
	if (!running || (started && pthread_equal(writer, pthread_self())))
		return;
	writer_wait();
	if (started)
		return;
	started = !pthread_create(&writer, NULL, write_some, NULL);
	writer_wait();
}

static void race(void)
{
	next_off = 0;
	running = true;
	rec.during_sync = during_sync;
	for (int i = 0; i < 12; i++) {
		CHECK(!g_write(next_off / 2 / 512 * 512, 3 * K));
		CHECK(!g_flush());
	}
	running = false;
	writer_end();
	rec.during_sync = NULL;
	CHECK(!g_flush());
}

static const struct scenario scenarios[] = {
	{ SCENARIO("race-512-64", "qcow2", make_empty, race, "cluster_size=512,refcount_bits=64",
		   2 * M) },
	{ SCENARIO("race-512", "qcow2", make_filled, race, "cluster_size=512", 2 * M) },
	{ SCENARIO("race-4k", "qcow2", make_empty, race, "cluster_size=4k", 2 * M) },
	{ SCENARIO("race-backed", "qcow2", make_backed, race, "cluster_size=16k,extended_l2=on",
		   2 * M) },
	{ SCENARIO("race-snapshot", "qcow2", make_snapshot, race, "cluster_size=4k", 2 * M),
	  .snapshot = true },
	{ SCENARIO("race-v1", "qcow", make_backed, race, NULL, 2 * M) },
};

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_scenario);
}
