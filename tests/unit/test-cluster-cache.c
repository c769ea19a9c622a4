/* SPDX-License-Identifier: MIT */
#include "compress/cluster_cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/failpoint.h"
#include "random.h"
#include "tap.h"
#include "threads.h"

static struct qc_cluster_cache *cache;
static int owner[4];

/* Makes a cluster in place of a decoder, and counts how often. */
struct job {
	uint64_t offset;
	uint32_t cluster;
	qc_err err;
	atomic_uint made;
};

static uint8_t byte_at(uint64_t offset, uint32_t at)
{
	return (uint8_t)(offset * 31 + at + (at >> 8) * 7);
}

static qc_err make(void *arg, void *out)
{
	struct job *j = arg;
	uint8_t *p = out;

	atomic_fetch_add(&j->made, 1);
	if (j->err)
		return j->err;
	for (uint32_t i = 0; i < j->cluster; i++)
		p[i] = byte_at(j->offset, i);
	return 0;
}

static bool right(const struct job *j, uint32_t skip, const uint8_t *buf, size_t len)
{
	for (uint32_t i = 0; i < len; i++)
		if (buf[i] != byte_at(j->offset, skip + i))
			return false;
	return true;
}

static qc_err read_part(struct job *j, const void *of, uint32_t skip, uint32_t len)
{
	uint8_t *buf = malloc(len);
	qc_err r = qc_cluster_cache_read(cache, of, j->offset, j->cluster, skip, buf, len, make, j);

	if (!r)
		CHECK(right(j, skip, buf, len));
	free(buf);
	return r;
}

/* Reads part of the cluster; returns how often the cluster was made for that. */
static unsigned int made_for(uint64_t offset, uint32_t cluster, const void *of)
{
	struct job j = { .offset = offset, .cluster = cluster };

	CHECK(!read_part(&j, of, 1, cluster / 2));
	return j.made;
}

static void begin(void)
{
	CHECK(!qc_cluster_cache_new(&cache));
}

static void finish(void)
{
	qc_cluster_cache_free(cache);
}

/* ---- one thread ------------------------------------------------------------- */

static void a_cluster_is_decompressed_once(void)
{
	struct job j = { .offset = 5, .cluster = 65536 };

	begin();
	for (uint32_t at = 0; at < 65536; at += 4096)
		CHECK(!read_part(&j, owner, at, 4096));
	CHECK(!read_part(&j, owner, 65535, 1));
	CHECK(!read_part(&j, owner, 0, 65536));
	CHECK(j.made == 1);
	finish();
}

static void owners_do_not_share_clusters(void)
{
	begin();
	CHECK(made_for(5, 512, &owner[0]) == 1);
	CHECK(made_for(5, 512, &owner[1]) == 1);
	CHECK(made_for(5, 512, &owner[0]) == 0);
	CHECK(made_for(0, 512, &owner[0]) == 1); /* offset 0 is valid */
	qc_cluster_cache_invalidate(cache, &owner[0]);
	CHECK(made_for(5, 512, &owner[1]) == 0);
	CHECK(made_for(5, 512, &owner[0]) == 1);
	finish();
}

static void the_least_recently_used_cluster_is_replaced(void)
{
	begin();
	for (uint64_t offset = 0; offset < 100; offset++) {
		CHECK(made_for(offset, 4096, owner) == 1);
		if (offset > 0)
			CHECK(made_for(0, 4096, owner) == 0);
	}
	CHECK(made_for(1, 4096, owner) == 1);
	CHECK(made_for(99, 4096, owner) == 0);
	CHECK(made_for(90, 4096, owner) == 0); /* more than a few are kept */
	finish();
}

static void large_clusters_are_bounded_in_memory(void)
{
	begin();
	for (uint64_t offset = 0; offset < 4; offset++)
		CHECK(made_for(offset, 2 << 20, owner) == 1);
	CHECK(made_for(3, 2 << 20, owner) == 0);
	for (uint64_t offset = 10; offset < 20; offset++)
		CHECK(made_for(offset, 2 << 20, owner) == 1);
	CHECK(made_for(3, 2 << 20, owner) == 1);
	finish();
}

static void all_sizes_in_one_cache(void)
{
	uint64_t seed = random_seed();

	begin();
	for (int i = 0; i < 300; i++) {
		uint32_t cluster = 512u << random_below(&seed, 13);
		struct job j = { .offset = random_below(&seed, 40) * 13 + cluster,
				 .cluster = cluster };
		uint32_t skip = (uint32_t)random_below(&seed, cluster);
		uint32_t most = cluster - skip < 5000 ? cluster - skip : 5000;

		CHECK(!read_part(&j, owner, skip, 1 + (uint32_t)random_below(&seed, most)));
		CHECK(j.made <= 1);
	}
	finish();
}

static void a_failure_is_not_cached(void)
{
	struct job bad = { .offset = 7, .cluster = 4096, .err = -ENOMEM };

	begin();
	CHECK(read_part(&bad, owner, 0, 10) == -ENOMEM);
	bad.err = -EIO;
	CHECK(read_part(&bad, owner, 0, 10) == -EIO);
	CHECK(bad.made == 2);
	CHECK(made_for(7, 4096, owner) == 1);
	CHECK(made_for(7, 4096, owner) == 0);
	finish();
}

static void only_a_ready_cluster_is_copied(void)
{
	struct job j = { .offset = 7, .cluster = 4096 };
	uint8_t buf[4096];

	begin();
	CHECK(!qc_cluster_cache_copy(cache, owner, 7, buf, 4096));
	CHECK(!read_part(&j, owner, 0, 1));
	CHECK(qc_cluster_cache_copy(cache, owner, 7, buf, 4096) && right(&j, 0, buf, 4096));
	CHECK(!qc_cluster_cache_copy(cache, owner, 8, buf, 4096));
	CHECK(!qc_cluster_cache_copy(cache, &owner[1], 7, buf, 4096));
	qc_cluster_cache_invalidate(cache, owner);
	CHECK(!qc_cluster_cache_copy(cache, owner, 7, buf, 4096));
	finish();
}

/* ---- many threads ----------------------------------------------------------- */

static atomic_uint trouble;

static void *read_around(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	uint8_t *buf = malloc(4096);

	for (int i = 0; i < 1500; i++) {
		uint32_t cluster = 4096u << random_below(&seed, 2);
		struct job j = { .offset = random_below(&seed, 24) * 2 + (cluster == 4096),
				 .cluster = cluster };
		uint32_t skip = (uint32_t)random_below(&seed, 1024);

		if (!random_below(&seed, 20)) {
			j.err = -EIO;
			(void)qc_cluster_cache_read(cache, owner, j.offset, cluster, skip, buf, 100,
					     make, &j);
		} else if (!random_below(&seed, 5) && cluster == 4096) {
			if (qc_cluster_cache_copy(cache, owner, j.offset, buf, cluster) &&
			    !right(&j, 0, buf, cluster))
				atomic_fetch_add(&trouble, 1);
		} else if (qc_cluster_cache_read(cache, owner, j.offset, cluster, skip, buf, 3000, make,
					  &j) ||
			   !right(&j, skip, buf, 3000)) {
			atomic_fetch_add(&trouble, 1);
		}
	}
	free(buf);
	return NULL;
}

static void many_threads_read_the_right_bytes(void)
{
	uint64_t seed = random_seed();
	pthread_t t[8];

	begin();
	for (int i = 0; i < 8; i++)
		t[i] = start(read_around, (void *)(uintptr_t)random_u64(&seed));
	for (int i = 0; i < 8; i++)
		end(t[i]);
	CHECK(!trouble);
	finish();
}

#ifdef QC_FAILPOINTS

struct reader {
	struct job job;
	qc_err result;
};

static void *read_once(void *arg)
{
	struct reader *r = arg;

	r->result = read_part(&r->job, owner, 3, 100);
	return NULL;
}

/* Starts all readers while the first one is parked in filling the slot. */
static void behind_one(struct reader *r, int n, void (*meanwhile)(void))
{
	pthread_t t[20];

	qc_failpoint_park("cluster-cache.fill");
	t[0] = start(read_once, &r[0]);
	qc_failpoint_await("cluster-cache.fill");
	for (int i = 1; i < n; i++)
		t[i] = start(read_once, &r[i]);
	if (meanwhile)
		meanwhile();
	qc_failpoint_resume("cluster-cache.fill");
	for (int i = 0; i < n; i++)
		end(t[i]);
}

static void other_clusters_are_read_meanwhile(void)
{
	uint8_t buf[4096];

	for (uint64_t offset = 100; offset < 200; offset++)
		CHECK(made_for(offset, 4096, owner) == 1);
	/* The slot is FILLING: it has no bytes yet, and is not replaced. */
	CHECK(!qc_cluster_cache_copy(cache, owner, 7, buf, 4096));
}

static void readers_at_once_decompress_only_once(void)
{
	struct reader r[4];
	unsigned int made = 0;

	begin();
	for (int i = 0; i < 4; i++)
		r[i] = (struct reader){ .job = { .offset = 7, .cluster = 4096 }, .result = 1 };
	behind_one(r, 4, other_clusters_are_read_meanwhile);
	for (int i = 0; i < 4; i++) {
		CHECK(!r[i].result);
		made += r[i].job.made;
	}
	CHECK(made == 1 && r[0].job.made == 1);
	finish();
}

/* A reader that waited for a filling that failed decompresses by itself. */
static void a_waiter_gets_its_own_error(void)
{
	struct reader r[3];

	begin();
	for (int i = 0; i < 3; i++)
		r[i] = (struct reader){ .job = { .offset = 7, .cluster = 4096, .err = -EIO } };
	r[2].job.err = 0;
	behind_one(r, 3, NULL);
	CHECK(r[0].result == -EIO && r[0].job.made == 1);
	CHECK(r[1].result == -EIO || (!r[1].result && !r[1].job.made));
	CHECK(!r[2].result);
	finish();
}

static void a_failed_filling_leaves_an_empty_slot(void)
{
	struct job j = { .offset = 7, .cluster = 4096 };

	begin();
	qc_failpoint_once("cluster-cache.fill");
	CHECK(read_part(&j, owner, 0, 10) == -EIO && !j.made);
	CHECK(!read_part(&j, owner, 0, 10) && j.made == 1);
	finish();
}

static void invalidate_all(void)
{
	qc_cluster_cache_invalidate(cache, owner);
}

/* The file may have changed after its bytes were read: only reads that began before get them. */
static void a_slot_invalidated_while_it_is_filled_becomes_empty(void)
{
	struct job after = { .offset = 7, .cluster = 4096 };
	struct reader r = { .job = after, .result = 1 };

	begin();
	behind_one(&r, 1, invalidate_all);
	CHECK(!r.result && r.job.made == 1);
	CHECK(!read_part(&after, owner, 0, 10) && after.made == 1);
	finish();
}

/* ---- all slots in use ------------------------------------------------------- */

enum { MANY = 16 };

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static int inside;
static bool open_door;

static qc_err make_slowly(void *arg, void *out)
{
	pthread_mutex_lock(&door);
	inside++;
	pthread_cond_broadcast(&moved);
	while (!open_door)
		pthread_cond_wait(&moved, &door);
	pthread_mutex_unlock(&door);
	return make(arg, out);
}

static void *read_slowly(void *arg)
{
	struct job *j = arg;
	uint8_t buf[100];

	CHECK(!qc_cluster_cache_read(cache, owner, j->offset, j->cluster, 9, buf, 100, make_slowly, j));
	CHECK(right(j, 9, buf, 100));
	return NULL;
}

static void without_a_free_slot_readers_decompress_uncached(void)
{
	static struct job j[MANY];
	pthread_t t[MANY];

	begin();
	for (int i = 0; i < MANY; i++) {
		j[i] = (struct job){ .offset = 1000 + (uint64_t)i, .cluster = 4096 };
		t[i] = start(read_slowly, &j[i]);
	}
	pthread_mutex_lock(&door);
	while (inside < MANY)
		pthread_cond_wait(&moved, &door);
	pthread_mutex_unlock(&door);
	CHECK(made_for(5, 4096, owner) == 1);
	CHECK(made_for(5, 4096, owner) == 1); /* no slot is free */
	pthread_mutex_lock(&door);
	open_door = true;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&door);
	for (int i = 0; i < MANY; i++)
		end(t[i]);
	CHECK(made_for(5, 4096, owner) == 1);
	CHECK(made_for(5, 4096, owner) == 0);
	finish();
}

#endif

int main(void)
{
	RUN(a_cluster_is_decompressed_once);
	RUN(owners_do_not_share_clusters);
	RUN(the_least_recently_used_cluster_is_replaced);
	RUN(large_clusters_are_bounded_in_memory);
	RUN(all_sizes_in_one_cache);
	RUN(a_failure_is_not_cached);
	RUN(only_a_ready_cluster_is_copied);
	RUN(many_threads_read_the_right_bytes);
#ifdef QC_FAILPOINTS
	RUN(readers_at_once_decompress_only_once);
	RUN(a_waiter_gets_its_own_error);
	RUN(a_failed_filling_leaves_an_empty_slot);
	RUN(a_slot_invalidated_while_it_is_filled_becomes_empty);
	RUN(without_a_free_slot_readers_decompress_uncached);
#endif
	return DONE();
}
