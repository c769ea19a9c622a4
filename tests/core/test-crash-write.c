/* SPDX-License-Identifier: MIT */
/*
 * A crash while clusters are allocated.
 *
 * sanitize: address
 */
#include "crash.h"

/* Writes of all sizes, some flushed, some over each other. */
static void writes(void)
{
	uint64_t size = qc_size(rig.img);

	for (uint64_t i = 0; i < 40; i++) {
		uint64_t off = random_below(&rig.seed, size / 512) * 512;
		uint64_t most = min_u64(size - off, i % 5 ? 9 * K : 120 * K);
		uint64_t len = 1 + random_below(&rig.seed, most);

		if (i % 3 == 0)
			off += min_u64(random_below(&rig.seed, 512), size - off - len);
		CHECK(!g_write(off, len));
		if (i % 4 == 3)
			CHECK(!g_flush());
	}
	CHECK(!g_flush());
}

/* From the begin to the end: blocks and tables of counts must grow. */
static void fill(void)
{
	uint64_t size = qc_size(rig.img), step = size / 24;

	for (uint64_t off = 0; off < size; off += step) {
		CHECK(!g_write(off, min_u64(step, size - off)));
		if (off / step % 6 == 5)
			CHECK(!g_flush());
	}
	CHECK(!g_flush());
}

/* Allocating writes, then writes in place, with both in flight at once. */
static void over_and_over(void)
{
	for (uint64_t round = 0; round < 6; round++) {
		for (uint64_t i = 0; i < 5; i++) {
			CHECK(!g_write(i * 70 * K + 512, 3000));
			CHECK(!g_write(round * 9 * K, 12 * K));
			CHECK(!g_zero(i * 50 * K, 20 * K));
		}
		CHECK(!g_flush());
	}
}

static const struct scenario scenarios[] = {
	{ SCENARIO("first-v1", "qcow", make_empty, writes, NULL, M) },
	{ SCENARIO("first-v2-512", "qcow2", make_empty, writes,
		   "compat=0.10,cluster_size=512", M) },
	{ SCENARIO("first-v2-64k", "qcow2", make_empty, writes,
		   "compat=0.10,cluster_size=64k", M) },
	{ SCENARIO("first-v3-4k", "qcow2", make_empty, writes, "cluster_size=4k", M) },
	{ SCENARIO("first-v3-64k", "qcow2", make_empty, writes,
		   "cluster_size=64k", 3 * M) },
	{ SCENARIO("grow-512-64", "qcow2", make_empty, fill,
		   "cluster_size=512,refcount_bits=64", 3 * M / 2) },
	{ SCENARIO("grow-512-1", "qcow2", make_empty, fill,
		   "cluster_size=512,refcount_bits=1", 3 * M / 2) },
	{ SCENARIO("grow-v2-512", "qcow2", make_empty, fill,
		   "compat=0.10,cluster_size=512", 2 * M) },
	{ SCENARIO("backed-v1", "qcow", make_backed, writes, NULL, M) },
	{ SCENARIO("backed-v2", "qcow2", make_backed, writes,
		   "compat=0.10,cluster_size=4k", M) },
	{ SCENARIO("backed-v3", "qcow2", make_backed, writes, "cluster_size=64k", M) },
	{ SCENARIO("snapshot-512", "qcow2", make_snapshot, writes,
		   "cluster_size=512", M), .snapshot = true },
	{ SCENARIO("snapshot-4k", "qcow2", make_snapshot, writes,
		   "cluster_size=4k", M), .snapshot = true },
	{ SCENARIO("snapshot-64k", "qcow2", make_snapshot, writes,
		   "compat=0.10,cluster_size=64k", M),
	  .snapshot = true },
	{ SCENARIO("extended", "qcow2", make_backed, writes,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("over", "qcow2", make_filled, over_and_over, "cluster_size=4k", M) },
	{ SCENARIO("over-extended", "qcow2", make_filled, over_and_over,
		   "cluster_size=64k,extended_l2=on", M) },
	{ SCENARIO("small-cache", "qcow2", make_empty, fill,
		   "cluster_size=512,refcount_bits=64", 3 * M / 2),
	  .cache_bytes = 1 },
	{ SCENARIO("data-file", "qcow2", make_filled, over_and_over,
		   "cluster_size=4k,data_file=d.data", M),
	  .data_file = true },
	{ SCENARIO("data-file-backed", "qcow2", make_backed, writes,
		   "data_file=d.data", M),
	  .data_file = true },
	{ SCENARIO("data-file-raw", "qcow2", make_filled, over_and_over,
	  "cluster_size=4k,data_file=d.data,data_file_raw=on", M), .data_file = true },
};

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_scenario);
}
