/* SPDX-License-Identifier: MIT */
/*
 * range.h - arithmetic on offsets and lengths that cannot wrap.
 *
 * Offsets are subtracted only here, and only after a comparison.
 */
#ifndef QC_RANGE_H
#define QC_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* Returns how many of the @len bytes at @off are before @end. */
static inline uint64_t range_clamp(uint64_t off, uint64_t len, uint64_t end)
{
	if (off >= end)
		return 0;
	return len < end - off ? len : end - off;
}

/* Returns true if [off, off + len) does not wrap and ends at or before @end. */
static inline bool range_inside(uint64_t off, uint64_t len, uint64_t end)
{
	return off <= end && len <= end - off;
}

/* Returns true if two ranges that do not wrap share a byte. */
static inline bool range_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	if (!alen || !blen)
		return false;
	return a < b ? b - a < alen : a - b < blen;
}

/* Rounds @v up to a multiple of @unit, a power of two.  If that does not fit into 64
 * bits, returns the largest multiple that does. */
static inline uint64_t round_up(uint64_t v, uint64_t unit)
{
	uint64_t low = v & (unit - 1);

	if (!low)
		return v;
	v -= low;
	return v > UINT64_MAX - unit ? v : v + unit;
}

/* Divides and rounds up. */
static inline uint64_t div_up(uint64_t v, uint64_t by)
{
	return v / by + (v % by != 0);
}

#endif
