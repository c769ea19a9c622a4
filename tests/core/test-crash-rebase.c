/* SPDX-License-Identifier: MIT */
/*
 * A crash while an image gets another backing file: it has the old one or the new one, and the
 * same disk.
 *
 * sanitize: address
 */
#include "rebase.h"

static void onto_other(void)
{
	CHECK(!g_write(40 * K, 50 * K));
	CHECK(!g_rebase("base2.raw"));
}

static void onto_long_name(void)
{
	CHECK(!g_write(300 * K, 5 * K));
	CHECK(!g_rebase(LONG_BASE));
}

static void onto_nothing(void)
{
	CHECK(!g_write(40 * K, 50 * K));
	CHECK(!g_rebase(""));
}

static const struct scenario scenarios[] = {
	{ SCENARIO("v1", "qcow", make_two_bases, onto_other, NULL, M) },
	{ SCENARIO("v1-long", "qcow", make_two_bases, onto_long_name, NULL, M) },
	{ SCENARIO("v1-none", "qcow", make_two_bases, onto_nothing, NULL, M) },
	{ SCENARIO("v2", "qcow2", make_two_bases, onto_other, "compat=0.10,cluster_size=4k", M) },
	{ SCENARIO("v3-512", "qcow2", make_two_bases, onto_other, "cluster_size=512", M) },
	{ SCENARIO("v3-4k", "qcow2", make_two_bases, onto_long_name, "cluster_size=4k", M) },
	{ SCENARIO("v3-64k", "qcow2", make_two_bases, onto_nothing, "cluster_size=64k", M) },
	{ SCENARIO("extended", "qcow2", make_two_bases, onto_long_name,
		   "cluster_size=16k,extended_l2=on", M) },
	{ SCENARIO("data-file", "qcow2", make_two_bases, onto_other,
		   "cluster_size=4k,data_file=d.data", M), .data_file = true },
};

int main(void)
{
	return run_scenarios(scenarios, COUNT(scenarios), crash_scenario);
}
