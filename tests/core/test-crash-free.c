/* SPDX-License-Identifier: MIT */
/*
 * A crash while clusters are freed, and allocated again.
 *
 * sanitize: address
 */
#include "crash.h"

static uint64_t place(uint64_t most, uint64_t *len)
{
	uint64_t off = random_below(&rig.seed, qc_size(rig.img) / 512) * 512;

	*len = (1 + random_below(&rig.seed, min_u64(most, qc_size(rig.img) - off) / 512)) * 512;
	return off;
}

/* Freed clusters are allocated again at once. */
static void reuse(void)
{
	for (uint64_t i = 0; i < 36; i++) {
		uint64_t len, off = place(i % 3 ? 40 * K : 200 * K, &len);

		off -= off % 4096;
		CHECK(!g_discard(off, min_u64(len + 4096, qc_size(rig.img) - off)));
		off = place(20 * K, &len);
		CHECK(!g_write(off, len));
		if (i % 3 == 2)
			CHECK(!g_flush());
		if (i % 9 == 8)
			CHECK(!g_settle());
	}
	CHECK(!g_flush());
}

/* All kinds of requests. */
static void all_kinds(void)
{
	for (uint64_t i = 0; i < 48; i++) {
		uint64_t len, off = place(i % 4 ? 20 * K : 150 * K, &len);

		switch (random_below(&rig.seed, 5)) {
		case 0:
			CHECK(!g_zero(off, len));
			break;
		case 1:
			CHECK(!g_discard(off, len));
			break;
		case 2:
			CHECK(!g_allocate(off, len));
			break;
		default:
			CHECK(!g_write(off, len));
		}
		if (i % 4 == 3)
			CHECK(!g_flush());
	}
	CHECK(!g_flush());
}

/* Zeros that are written, from the middle of a sector on: no later sector is torn. */
static void zeros_unaligned(void)
{
	for (uint64_t i = 0; i < 4; i++) {
		CHECK(!g_zero(i * 200 * K + 164, 150 * K));
		CHECK(!g_flush());
	}
}

static const struct scenario scenarios[] = {
	{ SCENARIO("zeros-v1", "qcow", make_filled, zeros_unaligned, NULL, M) },
	{ SCENARIO("reuse-512", "qcow2", make_filled, reuse, "cluster_size=512", M) },
	{ SCENARIO("reuse-4k", "qcow2", make_filled, reuse, "cluster_size=4k", M) },
	{ SCENARIO("reuse-v2", "qcow2", make_filled, reuse, "compat=0.10,cluster_size=4k", M) },
	{ SCENARIO("reuse-backed", "qcow2", make_backed, reuse, "cluster_size=4k", M) },
	{ SCENARIO("reuse-snapshot", "qcow2", make_snapshot, reuse, "cluster_size=4k", M),
	  .snapshot = true },
	{ SCENARIO("packed-4k", "qcow2", make_packed, all_kinds, "cluster_size=4k", M) },
	{ SCENARIO("packed-64k", "qcow2", make_packed, all_kinds, "cluster_size=64k", M) },
	{ SCENARIO("packed-v2", "qcow2", make_packed, all_kinds, "compat=0.10,cluster_size=512",
		   M) },
	{ SCENARIO("packed-v1", "qcow", make_packed, all_kinds, NULL, M) },
	{ SCENARIO("kinds-extended", "qcow2", make_packed, all_kinds,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("kinds-extended-backed", "qcow2", make_backed, all_kinds,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("kinds-extended-snapshot", "qcow2", make_snapshot, all_kinds,
		   "cluster_size=16k,extended_l2=on", M), .snapshot = true },
	{ SCENARIO("kinds-data-file", "qcow2", make_filled, all_kinds,
		   "cluster_size=4k,data_file=d.data", M), .data_file = true },
	{ SCENARIO("kinds-v1", "qcow", make_backed, all_kinds, NULL, M) },
};

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_scenario);
}
