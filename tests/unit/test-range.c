/* SPDX-License-Identifier: MIT */
#include "base/range.h"

#include "tap.h"

#define MAX UINT64_MAX
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void clamp(void)
{
	static const struct {
		uint64_t off, len, end, want;
	} t[] = {
		{ 0, 0, 0, 0 },		{ 0, 1, 0, 0 },		{ 0, 10, 10, 10 },
		{ 0, 11, 10, 10 },	{ 9, 1, 10, 1 },	{ 9, 2, 10, 1 },
		{ 10, 1, 10, 0 },	{ 11, 1, 10, 0 },	{ MAX, MAX, 10, 0 },
		{ MAX, 1, MAX, 0 },	{ MAX - 1, 5, MAX, 1 }, { 1, MAX, 10, 9 },
		{ 0, MAX, MAX, MAX },	{ 1, MAX, MAX, MAX - 1 }, { 5, 0, 10, 0 },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		CHECK(range_clamp(t[i].off, t[i].len, t[i].end) == t[i].want);
}

static void inside(void)
{
	static const struct {
		uint64_t off, len, end;
		bool want;
	} t[] = {
		{ 0, 0, 0, true },	 { 0, 1, 0, false },	  { 0, 10, 10, true },
		{ 0, 11, 10, false },	 { 10, 0, 10, true },	  { 10, 1, 10, false },
		{ 11, 0, 10, false },	 { 1, MAX, 10, false },	  { MAX, 1, 10, false },
		{ MAX, 2, MAX, false },	 { MAX, 0, MAX, true },	  { 2, MAX - 1, 100, false },
		{ MAX - 1, 1, MAX, true },
	};

	for (size_t i = 0; i < COUNT(t); i++)
		CHECK(range_inside(t[i].off, t[i].len, t[i].end) == t[i].want);
}

static void overlap(void)
{
	static const struct {
		uint64_t a, alen, b, blen;
		bool want;
	} t[] = {
		{ 0, 10, 10, 10, false }, { 0, 11, 10, 10, true }, { 5, 1, 5, 1, true },
		{ 5, 0, 5, 1, false },	  { 0, 100, 50, 0, false }, { 0, 100, 50, 1, true },
		{ 50, 1, 0, 100, true },  { 10, 10, 0, 10, false }, { MAX - 1, 1, 0, 1, false },
		{ 0, MAX, MAX - 1, 1, true },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		CHECK(range_overlap(t[i].a, t[i].alen, t[i].b, t[i].blen) == t[i].want);
		CHECK(range_overlap(t[i].b, t[i].blen, t[i].a, t[i].alen) == t[i].want);
	}
}

static void rounding(void)
{
	CHECK(round_up(0, 512) == 0);
	CHECK(round_up(1, 512) == 512);
	CHECK(round_up(511, 512) == 512);
	CHECK(round_up(512, 512) == 512);
	CHECK(round_up(513, 512) == 1024);
	CHECK(round_up(7, 1) == 7);
	CHECK(round_up(MAX - 511, 512) == MAX - 511);
	CHECK(round_up(MAX - 512, 512) == MAX - 511);
	CHECK(round_up(MAX - 510, 512) == MAX - 511); /* no room above */
	CHECK(round_up(MAX, 512) == MAX - 511);
	CHECK(div_up(0, 8) == 0);
	CHECK(div_up(1, 8) == 1);
	CHECK(div_up(8, 8) == 1);
	CHECK(div_up(9, 8) == 2);
	CHECK(div_up(MAX, 1) == MAX);
	CHECK(div_up(MAX, 2) == MAX / 2 + 1);
}

int main(void)
{
	RUN(clamp);
	RUN(inside);
	RUN(overlap);
	RUN(rounding);
	return DONE();
}
