/* SPDX-License-Identifier: MIT */
/*
 * A crash, or a failure, while an image file is compacted: the disk and its snapshots read as
 * before, and clusters are leaked at most.
 *
 * sanitize: address
 */
#include "crash.h"

static bool may_fail;

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

static void look_after_fault(void)
{
	struct qc_context *ctx = rig_context(rig.s);
	struct qc_image *img;
	struct qc_reason why;
	uint8_t *disk;

	if (image_try(ctx, "w/img", 0, &img, &why)) {
		complain(why.text);
	} else {
		disk = malloc(qc_size(img) + 1);
		if (qc_read(img, 0, disk, qc_size(img)))
			complain("cannot be read after a failure");
		else
			sectors_are_good(disk, qc_size(img), SIZE_MAX - 1, flushed_changes(SIZE_MAX - 1),
					 "after a failure");
		free(disk);
		qc_close(img);
	}
	qc_context_free(ctx);
	if (WEXITSTATUS(try_sh("cd w && qemu-img check -q %s >check 2>&1", rig_image(rig.s))) == 2)
		complain("corrupt after a failure");
}

static void fail_in_turn(enum rec_kind kind, qc_err err, uint64_t runs)
{
	uint64_t step = rec.calls[kind] / runs + 1;

	for (uint64_t n = 1; !rig.bad; n += step) {
		rig_again();
		rig_run((struct rec_fault){ kind, n, 1, err, n % 2 });
		if (!rec.failures)
			break;
		look_after_fault();
	}
}

static void compact_scenario(const struct scenario *s)
{
	static const struct {
		enum rec_kind kind;
		qc_err err;
	} faults[] = { { REC_WRITE, -ENOSPC }, { REC_WRITE, -EIO }, { REC_SYNC, -EIO }, { REC_READ, -EIO } };
	uint64_t runs = env_number("FAULT_RUNS", is_sanitized() ? 2 : 6);

	may_fail = false;
	crash_scenario_of(s, is_sanitized() ? 15 : 40);
	may_fail = true;
	rig_begin(s);
	rig_run((struct rec_fault){ 0 });
	for (size_t i = 0; i < COUNT(faults); i++)
		fail_in_turn(faults[i].kind, faults[i].err, runs);
	CHECK(!rig.bad);
	rig_end();
}

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), compact_scenario);
}
