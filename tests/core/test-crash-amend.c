/* SPDX-License-Identifier: MIT */
/*
 * A crash, or a failure, while options of an image change: the disk and its snapshots read as
 * before, and each option has its old or its new value.
 *
 * sanitize: address
 */
#include "crash.h"

static bool may_fail;

static void amend(struct qc_amend_options o)
{
	struct qc_reason why;

	CHECK(!qc_amend(rig.img, &o, &why) || may_fail);
}

static void change_width(void)
{
	CHECK(!g_write(0, 40 * K) || may_fail);
	amend((struct qc_amend_options){ .refcount_bits = 64 });
	CHECK(!g_write(100 * K, 60 * K) || may_fail);
	amend((struct qc_amend_options){ .refcount_bits = 4 });
	CHECK(!g_discard(20 * K, 200 * K) || may_fail);
	amend((struct qc_amend_options){ .refcount_bits = 32, .lazy_refcounts = QC_ON });
	CHECK(!g_write(10 * K, 60 * K) || may_fail);
	amend((struct qc_amend_options){ .refcount_bits = 8, .lazy_refcounts = QC_OFF });
}

static void change_version(void)
{
	CHECK(!g_zero(30 * K, 100 * K) || may_fail);
	CHECK(!g_discard(200 * K, 100 * K) || may_fail);
	CHECK(!g_write(0, 40 * K) || may_fail);
	amend((struct qc_amend_options){ .version = 2 });
	CHECK(!g_write(50 * K, 60 * K) || may_fail);
	amend((struct qc_amend_options){ .version = 3 });
	CHECK(!g_zero(8 * K, 70 * K) || may_fail);
	amend((struct qc_amend_options){ .version = 2 });
}

/* QEMU shares L2 tables with a snapshot until it writes to them. */
static void make_shared_zeros(const struct scenario *s)
{
	make_backed(s);
	sh("cd w && qemu-io -c 'write -P 1 0 100k' -c 'write -z 16k 40k' -c 'write -zu 200k 64k' %s "
	   ">/dev/null && qemu-img snapshot -c one img", rig_image(s));
}

/* The name of the backing file leaves the first sector. */
static void make_long_name(const struct scenario *s)
{
	char name[420];

	spill_tagged("w/base.raw", s->bytes - 5000, 0);
	memset(name, '/', sizeof(name));
	snprintf(name + 390, sizeof(name) - 390, "base.raw");
	name[0] = '.';
	sh("cd w && qemu-img create -q -f %s -b %s -F raw -o %s img %" PRIu64, s->format, name,
	   s->options, s->bytes);
}

static const struct scenario scenarios[] = {
	{ SCENARIO("width-4k", "qcow2", make_filled, change_width, "cluster_size=4k", M) },
	{ SCENARIO("width-512", "qcow2", make_snapshot, change_width, "cluster_size=512", M),
	  .snapshot = true, .cache_bytes = 64 * K },
	{ SCENARIO("version-512", "qcow2", make_filled, change_version, "cluster_size=512", M) },
	{ SCENARIO("version-snapshot", "qcow2", make_shared_zeros, change_version,
		   "cluster_size=4k", M), .snapshot = true },
	{ SCENARIO("version-name", "qcow2", make_long_name, change_version, "cluster_size=4k", M) },
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

static void amend_scenario(const struct scenario *s)
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
	return run_scenarios(scenarios, COUNT(scenarios), amend_scenario);
}
