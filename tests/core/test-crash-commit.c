/* SPDX-License-Identifier: MIT */
/*
 * A crash while an overlay is written to its backing file: both are sound, and the disk of the
 * overlay is the same.
 *
 * sanitize: address
 */
#include "commit.h"

/* The backing file is sound, too. */
static bool base_is_sound(struct qc_image *img, size_t at, const char *dir, bool sample)
{
	(void)img, (void)at, (void)sample;
	if (rig.s->make == make_over_raw ||
	    !try_sh("qemu-img check -q -U -f qcow2 %s/d.data >base.check 2>&1; test $? = 0 -o $? = 3",
		    dir))
		return true;
	complain("the backing file is damaged");
	return false;
}

static void commit_and_empty(void)
{
	CHECK(!g_write(40 * K, 50 * K));
	CHECK(!g_discard(600 * K, 64 * K));
	CHECK(!g_flush());
	CHECK(!g_commit(true));
}

static void commit_and_keep(void)
{
	CHECK(!g_write(40 * K, 50 * K));
	CHECK(!g_commit(false));
}

static const struct scenario scenarios[] = {
	{ SCENARIO("v3", "qcow2", make_over_4k, commit_and_empty, "cluster_size=4k", M),
	  .data_file = true },
	{ SCENARIO("v3-512", "qcow2", make_over_v2, commit_and_empty, "cluster_size=512", M),
	  .data_file = true },
	{ SCENARIO("v2-raw", "qcow2", make_over_raw, commit_and_empty,
		   "compat=0.10,cluster_size=4k", M), .data_file = true },
	{ SCENARIO("extended", "qcow2", make_over_4k, commit_and_empty,
		   "cluster_size=16k,extended_l2=on", M), .data_file = true },
	{ SCENARIO("keep", "qcow2", make_over_v2, commit_and_keep, "cluster_size=64k", M),
	  .data_file = true },
	{ SCENARIO("v1", "qcow", make_over_raw, commit_and_empty, NULL, M), .data_file = true },
};

int main(void)
{
	rig_look = base_is_sound;
	return run_scenarios(scenarios, COUNT(scenarios), crash_scenario);
}
