/* SPDX-License-Identifier: MIT */
/*
 * range.h - arithmetic on offsets and lengths that cannot wrap.
 *
 * Offsets are subtracted here and nowhere else, and only after they were
 * compared.
 */
#ifndef QC_RANGE_H
#define QC_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* How much of `len` bytes at `off` lies before `end`. */
static inline uint64_t range_clamp(uint64_t off, uint64_t len, uint64_t end)
{
	if (off >= end)
		return 0;
	return len < end - off ? len : end - off;
}

/* Whether [off, off + len) ends at or before `end`, and does not wrap. */
static inline bool range_inside(uint64_t off, uint64_t len, uint64_t end)
{
	return off <= end && len <= end - off;
}

/* Whether two ranges that do not wrap share a byte. */
static inline bool range_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	if (!alen || !blen)
		return false;
	return a < b ? b - a < alen : a - b < blen;
}

/* The smallest multiple of `unit`, a power of two, at or above v; the largest
 * multiple there is where that would not fit. */
static inline uint64_t round_up(uint64_t v, uint64_t unit)
{
	uint64_t low = v & (unit - 1);

	if (!low)
		return v;
	v -= low;
	return v > UINT64_MAX - unit ? v : v + unit;
}

static inline uint64_t div_up(uint64_t v, uint64_t by)
{
	return v / by + (v % by != 0);
}

#endif
