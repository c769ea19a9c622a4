/* SPDX-License-Identifier: MIT */
#include "format/geometry.h"

#include "tap.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TIB (MIB * MIB)

static const struct geom v1_small = { LAYOUT_V1, false, 9, 12, 3, 0, 0 };
static const struct geom v1_default = { LAYOUT_V1, false, 12, 9, 3, 0, 0 };
static const struct geom v2_512 = { LAYOUT_V2, false, 9, 6, 3, 0, 0 };
static const struct geom v3_64k = { LAYOUT_V3, false, 16, 13, 3, 0, 0 };
static const struct geom v3_2m = { LAYOUT_V3, false, 21, 18, 3, 0, 0 };
static const struct geom ext_16k = { LAYOUT_V3_EXTENDED, false, 14, 10, 4, 0, 0 };
static const struct geom ext_64k = { LAYOUT_V3_EXTENDED, false, 16, 12, 4, 0, 0 };

static void sizes(void)
{
	static const struct {
		const struct geom *g;
		uint64_t cluster, table, span;
	} t[] = {
		{ &v1_small, 512, 32 * KIB, 2 * MIB },
		{ &v1_default, 4 * KIB, 4 * KIB, 2 * MIB },
		{ &v2_512, 512, 512, 32 * KIB },
		{ &v3_64k, 64 * KIB, 64 * KIB, 512 * MIB },
		{ &v3_2m, 2 * MIB, 2 * MIB, 512 * KIB * MIB },
		{ &ext_16k, 16 * KIB, 16 * KIB, 16 * MIB },
		{ &ext_64k, 64 * KIB, 64 * KIB, 256 * MIB },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		CHECK(geom_cluster(t[i].g) == t[i].cluster);
		CHECK(geom_l2_bytes(t[i].g) == t[i].table);
		CHECK(geom_l1_span(t[i].g) == t[i].span);
	}
	CHECK(geom_subcluster(&ext_16k) == 512);
	CHECK(geom_subcluster(&ext_64k) == 2048);
}

static void an_offset_falls_apart(void)
{
	static const struct {
		const struct geom *g;
		uint64_t at, l1, l2, rest;
	} t[] = {
		{ &v3_64k, 0, 0, 0, 0 },
		{ &v3_64k, 65535, 0, 0, 65535 },
		{ &v3_64k, 65536, 0, 1, 0 },
		{ &v3_64k, 512 * MIB - 1, 0, 8191, 65535 },
		{ &v3_64k, 512 * MIB, 1, 0, 0 },
		{ &v3_64k, 3 * 512 * MIB + 5 * 64 * KIB + 7, 3, 5, 7 },
		{ &v2_512, 32 * KIB - 1, 0, 63, 511 },
		{ &v2_512, 32 * KIB, 1, 0, 0 },
		{ &v1_small, 2 * MIB - 512, 0, 4095, 0 },
		{ &v1_small, 2 * MIB, 1, 0, 0 },
		{ &v3_2m, 2 * TIB + 2 * MIB + 1, 4, 1, 1 },
		{ &ext_64k, 256 * MIB - 1, 0, 4095, 65535 },
		{ &ext_64k, 256 * MIB, 1, 0, 0 },
		{ &v3_64k, INT64_MAX, (UINT64_C(1) << 34) - 1, 8191, 65535 },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		struct goff at = { t[i].at };

		CHECK(geom_l1_index(t[i].g, at) == t[i].l1);
		CHECK(geom_l2_index(t[i].g, at) == t[i].l2);
		CHECK(geom_in_cluster(t[i].g, at) == t[i].rest);
	}
}

static void entries_that_a_disk_needs(void)
{
	CHECK(geom_l1_need(&v3_64k, 0) == 0);
	CHECK(geom_l1_need(&v3_64k, 1) == 1);
	CHECK(geom_l1_need(&v3_64k, 512 * MIB) == 1);
	CHECK(geom_l1_need(&v3_64k, 512 * MIB + 1) == 2);
	CHECK(geom_l1_need(&v2_512, 128 * KIB * MIB) == 4 * MIB);
	CHECK(geom_l1_need(&v2_512, UINT64_MAX) == UINT64_C(1) << 49); /* no wrap */
}

int main(void)
{
	RUN(sizes);
	RUN(an_offset_falls_apart);
	RUN(entries_that_a_disk_needs);
	return DONE();
}
