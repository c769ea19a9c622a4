/* SPDX-License-Identifier: MIT */
/*
 * A crash while the disk gets another size, or is repaired.
 *
 * sanitize: address
 */
#include "crash.h"

static void grow(void)
{
	uint64_t size = qc_size(rig.img);

	CHECK(!g_write(size - 3 * K, 3 * K));
	CHECK(!g_resize(size + 5 * 512));
	CHECK(!g_write(size - 512, 4 * 512));
	CHECK(!g_flush());
	CHECK(!g_resize(2 * size));
	CHECK(!g_write(2 * size - 7 * K, 7 * K));
	CHECK(!g_write(size + 40 * K, 70 * K));
	CHECK(!g_flush());
}

/* A new disk grows with each write, plain or compressed in parts. */
static void grow_by_writes(void)
{
	uint64_t cluster = qc_cluster_size(rig.img), at = qc_size(rig.img);

	for (int i = 0; i < 24; i++) {
		uint64_t len = i % 5 == 4 ? 20 * K : 2 * K + 512;

		if (i % 3 == 2)
			len = min_u64(len, cluster - at % cluster);
		CHECK(!g_grow(at + len));
		CHECK(!(i % 3 == 2 ? g_write_gathered(at, len) : g_write(at, len)));
		at += len;
		if (i % 7 == 6)
			CHECK(!g_flush_grown());
	}
	CHECK(!g_flush_grown());
}

static void shrink(void)
{
	uint64_t size = qc_size(rig.img);

	CHECK(!g_write(size - 100 * K, 100 * K));
	CHECK(!g_resize(size - 90 * K - 512));
	CHECK(!g_write(0, 50 * K));
	CHECK(!g_resize(size / 4));
	CHECK(!g_write(9 * K, 50 * K));
	CHECK(!g_flush());
}

static void both(void)
{
	uint64_t size = qc_size(rig.img);

	shrink();
	CHECK(!g_resize(size));
	CHECK(!g_write(size / 2, 30 * K));
	CHECK(!g_flush());
}

static void some(void)
{
	for (uint64_t i = 0; i < 12; i++) {
		CHECK(!g_write(random_below(&rig.seed, qc_size(rig.img) / 512 - 40) * 512, 20 * K));
		if (i % 4 == 3)
			CHECK(!g_flush());
	}
}

/* Written by QEMU, which was killed before it wrote the counts. */
static void make_dirty(const struct scenario *s)
{
	make_empty(s);
	spill_tagged("w/fill", 600 * K, 0);
	sh("cd w && qemu-io -f qcow2 -c 'write -s fill 0 200k' img >/dev/null");
	try_sh("cd w && qemu-io -f qcow2 -c 'write -s fill 0 600k' -c 'discard 100k 64k' "
	       "-c flush -c 'sigraise 9' img >/dev/null 2>&1");
	sh("cd w && ! qemu-img check -q -f qcow2 img >/dev/null 2>&1");
}

static void make_dirty_snapshot(const struct scenario *s)
{
	make_snapshot(s);
	try_sh("cd w && qemu-io -f qcow2 -c 'write -s fill 0 300k' -c flush -c 'sigraise 9' "
	       "img >/dev/null 2>&1");
	sh("cd w && ! qemu-img check -q -f qcow2 img >/dev/null 2>&1");
}

static const struct scenario scenarios[] = {
	{ SCENARIO("grow-v1", "qcow", make_filled, grow, NULL, M) },
	{ SCENARIO("grow-v2", "qcow2", make_filled, grow, "compat=0.10,cluster_size=512", M) },
	{ SCENARIO("grow-4k", "qcow2", make_filled, grow, "cluster_size=4k", M) },
	{ SCENARIO("grow-512", "qcow2", make_filled, grow, "cluster_size=512", M) },
	{ SCENARIO("grow-snapshot", "qcow2", make_snapshot, grow, "cluster_size=4k", M),
	  .snapshot = true },
	{ SCENARIO("grow-64k", "qcow2", make_backed, grow, "cluster_size=64k", M) },
	{ SCENARIO("writes-v2", "qcow2", make_empty, grow_by_writes,
		   "compat=0.10,cluster_size=512", 256 * K) },
	{ SCENARIO("writes-4k", "qcow2", make_empty, grow_by_writes, "cluster_size=4k", 256 * K) },
	{ SCENARIO("writes-2M", "qcow2", make_empty, grow_by_writes,
		   "cluster_size=2M,compression_type=zstd", 256 * K) },
	{ SCENARIO("shrink-v2", "qcow2", make_filled, shrink, "compat=0.10,cluster_size=512", M),
	  .shrinks = true },
	{ SCENARIO("shrink-4k", "qcow2", make_filled, shrink, "cluster_size=4k", M),
	  .shrinks = true },
	{ SCENARIO("shrink-packed", "qcow2", make_packed, shrink, "cluster_size=4k", M),
	  .shrinks = true },
	{ SCENARIO("shrink-snapshot", "qcow2", make_snapshot, shrink, "cluster_size=512", M),
	  .snapshot = true, .shrinks = true },
	{ SCENARIO("shrink-grow-extended", "qcow2", make_filled, both,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("shrink-grow-512", "qcow2", make_filled, both, "cluster_size=512", M) },
	{ SCENARIO("shrink-grow-data-file", "qcow2", make_filled, both,
		   "cluster_size=4k,data_file=d.data", M), .data_file = true },
	{ SCENARIO("shrink-grow-raw", "qcow2", make_filled, both,
		   "cluster_size=4k,data_file=d.data,data_file_raw=on", M), .data_file = true },
	{ SCENARIO("dirty-512", "qcow2", make_dirty, some,
		   "cluster_size=512,lazy_refcounts=on", M), .dirty = true },
	{ SCENARIO("dirty-4k", "qcow2", make_dirty, some, "cluster_size=4k,lazy_refcounts=on",
		   M), .dirty = true },
	{ SCENARIO("dirty-64k", "qcow2", make_dirty, some, "cluster_size=64k,lazy_refcounts=on",
		   M), .dirty = true },
	{ SCENARIO("dirty-refcount-64", "qcow2", make_dirty, some,
		   "cluster_size=512,refcount_bits=64,lazy_refcounts=on", 2 * M), .dirty = true },
	{ SCENARIO("dirty-snapshot", "qcow2", make_dirty_snapshot, some,
		   "cluster_size=4k,lazy_refcounts=on", M), .snapshot = true, .dirty = true },
};

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_scenario);
}
