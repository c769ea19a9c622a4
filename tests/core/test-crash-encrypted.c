/* SPDX-License-Identifier: MIT */
/*
 * A crash with encrypted images: flushed data is read with the key, by us and by QEMU,
 * and no sector is garbage, also if only a part of it was written.
 *
 * sanitize: address
 */
#include "crash.h"

#define LUKS "encrypt.format=luks,encrypt.iter-time=1"
#define AES  "encrypt.format=aes"

/* Bytes anywhere, next to what is flushed; zeros, holes, and places used again. */
static void requests(void)
{
	uint64_t size = qc_size(rig.img);

	for (uint64_t i = 0; i < 40; i++) {
		uint64_t off = random_below(&rig.seed, size);
		uint64_t len = 1 + random_below(&rig.seed, min_u64(size - off, i % 5 ? 9 * K : 90 * K));

		switch (random_below(&rig.seed, 6)) {
		case 0:
			CHECK(!g_zero(off, len));
			break;
		case 1:
			CHECK(!g_discard(off, len));
			break;
		default:
			CHECK(!g_write(off, len));
		}
		if (i % 4 == 3)
			CHECK(!g_flush());
		if (i % 13 == 12)
			CHECK(!g_settle());
	}
	CHECK(!g_flush());
}

/* Discarded clusters of an external data file, some of which are written again before the next
 * flush.  Their space must not be given back while the file has their old entries: the holes
 * would decrypt to garbage. */
static void discards(void)
{
	uint64_t size = qc_size(rig.img);

	for (uint64_t i = 0; i < 24; i++) {
		uint64_t off = random_below(&rig.seed, size / 4096) * 4096;
		uint64_t len = 4096 * (1 + random_below(&rig.seed, min_u64(16, (size - off) / 4096)));

		CHECK(!g_discard(off, len));
		if (i % 2)
			CHECK(!g_write(off + len / 2 + 100, 3000));
		if (i % 3 == 2)
			CHECK(!g_flush());
	}
	CHECK(!g_flush());
}

static void take(const char *name)
{
	CHECK(!qc_snapshot_take(rig.img, name, strlen(name)));
}

static void snapshots_and_sizes(void)
{
	uint64_t size = qc_size(rig.img);

	CHECK(!g_write(3, 30 * K));
	take("a");
	CHECK(!g_write(10 * K + 1, 40 * K));
	CHECK(!g_flush());
	CHECK(!g_resize(size + 100 * K));
	CHECK(!g_write(size - 5, 20 * K));
	take("b");
	CHECK(!g_write(size - 700, 3 * K));
	CHECK(!g_flush());
}

static const struct scenario scenarios[] = {
	{ SCENARIO("aes-v1", "qcow", make_filled, requests, AES, M), .encrypted = true },
	{ SCENARIO("aes-v2-512", "qcow2", make_empty, requests,
		   AES ",compat=0.10,cluster_size=512", M), .encrypted = true },
	{ SCENARIO("aes-snapshots", "qcow2", make_filled, snapshots_and_sizes,
		   AES ",cluster_size=4k", M), .encrypted = true },
	/* QEMU takes seconds to make one. */
	{ SCENARIO("luks-snapshot-4k", "qcow2", make_snapshot, requests,
		   LUKS ",cluster_size=4k,encrypt.cipher-alg=aes-128", M),
	  .encrypted = true, .snapshot = true },
	{ SCENARIO("luks-data-file-discards", "qcow2", make_filled, discards,
		   LUKS ",cluster_size=4k,data_file=d.data,encrypt.cipher-alg=aes-128", M),
	  .encrypted = true, .data_file = true },
	{ SCENARIO("luks-extended", "qcow2", make_filled, requests,
		   LUKS ",cluster_size=16k,extended_l2=on,encrypt.cipher-alg=aes-128,"
		   "encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256",
		   M), .encrypted = true, .rare = true },
	{ SCENARIO("luks-64k", "qcow2", make_filled, requests, LUKS, M), .encrypted = true,
	  .rare = true },
	{ SCENARIO("luks-data-file", "qcow2", make_empty, requests,
		   LUKS ",cluster_size=4k,data_file=d.data,encrypt.cipher-alg=aes-128", M),
	  .encrypted = true, .data_file = true, .rare = true },
	{ SCENARIO("luks-snapshots", "qcow2", make_filled, snapshots_and_sizes,
		   LUKS ",cluster_size=4k,encrypt.cipher-alg=aes-128", M), .encrypted = true,
	  .rare = true },
};

enum { AES_SCENARIOS = 3 };

static void crash_few(const struct scenario *s)
{
	crash_scenario_of(s, is_long() ? 40 : is_sanitized() ? 6 : 20);
}

/* With a sanitizer each LUKS image takes a second, and shows nothing new. */
int main(void)
{
	return run_scenarios(scenarios, is_sanitized() ? AES_SCENARIOS : COUNT(scenarios), crash_few);
}
