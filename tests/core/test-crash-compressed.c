/* SPDX-License-Identifier: MIT */
/*
 * A crash while clusters are stored compressed: several of them share a host cluster.
 *
 * sanitize: address
 */
#include "crash.h"

/* Compressed writes of whole clusters and of parts, over each other, and plain ones between. */
static void mixture(void)
{
	uint64_t size = qc_size(rig.img), most = max_u64(64 * K, size / 8);

	for (uint64_t i = 0; i < 48; i++) {
		uint64_t off = random_below(&rig.seed, size / 4096) * 4096;
		uint64_t len = 512 * (1 + random_below(&rig.seed, most / 512));

		if (i % 5 == 4)
			off = off / most * most;
		len = min_u64(len, size - off);
		if (i % 7 == 3)
			CHECK(!g_write(off, min_u64(len, 9 * K)));
		else if (i % 11 == 5)
			CHECK(!g_discard(off, len));
		else
			CHECK(!g_write_compressed(off, len));
		if (i % 4 == 3)
			CHECK(!g_flush());
	}
	CHECK(!g_flush());
}

/* From the begin to the end, twice: refcount blocks grow, then all of the first are freed. */
static void twice(void)
{
	uint64_t size = qc_size(rig.img), step = size / 16;

	for (int round = 0; round < 2; round++) {
		for (uint64_t off = 0; off < size; off += step) {
			CHECK(!g_write_compressed(off, min_u64(step, size - off)));
			if (off / step % 5 == 4)
				CHECK(!g_flush());
		}
		CHECK(!g_flush());
	}
}

/* A stream of parts, with gaps, that is interrupted by all else. */
static void in_parts(void)
{
	uint64_t size = qc_size(rig.img), cluster = qc_cluster_size(rig.img), at = 0;
	uint64_t step = max_u64(512, min_u64(cluster / 3, size / 40) / 512 * 512);

	for (uint64_t i = 0; i < 60; i++) {
		uint64_t len = min_u64(min_u64(step, cluster - at % cluster), size - at);

		CHECK(!g_write_gathered(at, len));
		at += len + (i % 9 == 8 ? 1024 : 0);
		if (i % 7 == 3)
			CHECK(!g_write(random_below(&rig.seed, size / 1024) * 1024, 512));
		else if (i % 11 == 10)
			CHECK(!g_flush());
		if (i % 13 == 12 || at >= size)
			at = random_below(&rig.seed, size / cluster) * cluster;
	}
	CHECK(!g_flush());
}

static qc_err take(const char *name)
{
	return g_noted(qc_snapshot_take(rig.img, name, strlen(name)));
}

static void with_snapshots(void)
{
	struct qc_snapshots list;

	CHECK(!g_write_compressed(0, 256 * K));
	CHECK(!take("a"));
	CHECK(!g_write_compressed(64 * K, 256 * K));
	CHECK(!g_flush());
	CHECK(!g_write(128 * K, 4 * K));
	CHECK(!qc_list_snapshots(rig.img, &list) && list.n == 1);
	CHECK(!g_noted(qc_snapshot_delete(rig.img, &list.at[0])));
	qc_snapshots_free(&list);
	CHECK(!g_write_compressed(0, 512 * K));
	CHECK(!g_flush());
}

static const struct scenario scenarios[] = {
	{ SCENARIO("v1", "qcow", make_empty, mixture, NULL, M) },
	{ SCENARIO("v1-backed", "qcow", make_backed, mixture, NULL, M) },
	{ SCENARIO("v2", "qcow2", make_packed, mixture, "compat=0.10,cluster_size=4k", M) },
	{ SCENARIO("v3-512", "qcow2", make_empty, mixture, "cluster_size=512", M) },
	{ SCENARIO("v3-4k", "qcow2", make_packed, mixture, "cluster_size=4k", M) },
	{ SCENARIO("v3-64k", "qcow2", make_backed, mixture, "cluster_size=64k", 2 * M) },
	{ SCENARIO("zstd", "qcow2", make_packed, mixture,
		   "cluster_size=16k,compression_type=zstd", M) },
	{ SCENARIO("extended", "qcow2", make_backed, mixture,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("v2-parts", "qcow2", make_empty, in_parts, "compat=0.10,cluster_size=512", M) },
	{ SCENARIO("v3-parts", "qcow2", make_backed, in_parts, "cluster_size=64k", M) },
	{ SCENARIO("2M-parts", "qcow2", make_empty, in_parts,
		   "cluster_size=2M,compression_type=zstd", 5 * M) },
	{ SCENARIO("v3-2M", "qcow2", make_empty, mixture, "cluster_size=2M", 5 * M) },
	{ SCENARIO("zstd-512", "qcow2", make_empty, mixture,
		   "cluster_size=512,compression_type=zstd", M) },
	{ SCENARIO("refcount-1", "qcow2", make_empty, twice, "cluster_size=4k,refcount_bits=1", M) },
	{ SCENARIO("refcount-2", "qcow2", make_empty, twice, "cluster_size=4k,refcount_bits=2", M) },
	{ SCENARIO("refcount-64", "qcow2", make_empty, twice,
		   "cluster_size=1k,refcount_bits=64", M), .cache_bytes = 1 },
	{ SCENARIO("snapshots", "qcow2", make_empty, with_snapshots, "cluster_size=4k", M) },
};

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_scenario);
}
