/* SPDX-License-Identifier: MIT */
/*
 * A crash, or a failure, while an image file is compacted: the disk and its snapshots read as
 * before, and clusters are leaked at most.
 *
 * sanitize: address
 */
#include "fault.h"

static void compact(void)
{
	struct qc_compact_result result;
	struct qc_reason why;

	CHECK(!g_flush() || may_fail);
	CHECK(!qc_compact(rig.img, NULL, NULL, &result, &why) || may_fail);
	CHECK(result.bytes_after <= result.bytes_before || may_fail);
}

/* Writes in several runs, so that the file has holes when others are discarded. */
static void write_and_compact(void)
{
	uint64_t size = qc_size(rig.img);

	for (uint64_t i = 0; i < 8; i++) {
		uint64_t off = random_below(&rig.seed, size / 512 - 100) * 512;

		CHECK(!g_write(off, (1 + random_below(&rig.seed, 90)) * 512) || may_fail);
	}
	CHECK(!g_discard(0, size / 3) || may_fail);
	compact();
	CHECK(!g_write(20 * K, 40 * K) || may_fail);
	CHECK(!g_discard(size / 2, size / 4) || may_fail);
	compact();
	CHECK(!g_write(size / 2, 10 * K) || may_fail);
}

/* The L1 table of a larger disk is behind all data, and of many clusters. */
static void grow_and_compact(void)
{
	uint64_t size = qc_size(rig.img);

	CHECK(!g_write(0, size / 2) || may_fail);
	CHECK(!g_resize(2 * size) || may_fail);
	CHECK(!g_discard(0, size / 3) || may_fail);
	compact();
	CHECK(!g_write(size + 30 * K, 30 * K) || may_fail);
}

static const struct scenario scenarios[] = {
	{ SCENARIO("compact-4k", "qcow2", make_filled, write_and_compact, "cluster_size=4k", M) },
	{ SCENARIO("compact-v2", "qcow2", make_filled, write_and_compact,
		   "compat=0.10,cluster_size=512", M) },
	{ SCENARIO("compact-snapshot", "qcow2", make_snapshot, write_and_compact, "cluster_size=4k", M),
	  .snapshot = true, .cache_bytes = 64 * K },
	{ SCENARIO("compact-packed", "qcow2", make_packed, write_and_compact, "cluster_size=4k", M) },
	{ SCENARIO("compact-extended", "qcow2", make_backed, write_and_compact,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("compact-long-table", "qcow2", make_filled, grow_and_compact,
		   "cluster_size=512,refcount_bits=64", 3 * M) },
	{ SCENARIO("compact-luks", "qcow2", make_filled, write_and_compact,
		   "encrypt.format=luks,encrypt.iter-time=1,cluster_size=4k,encrypt.cipher-alg=aes-128", M),
	  .encrypted = true, .rare = true },
};

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_and_fault_scenario);
}
