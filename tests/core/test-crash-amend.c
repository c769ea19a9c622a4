/* SPDX-License-Identifier: MIT */
/*
 * A crash, or a failure, while options of an image change: the disk and its snapshots read as
 * before, and each option has its old or its new value.
 *
 * sanitize: address
 */
#include "fault.h"

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

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_and_fault_scenario);
}
