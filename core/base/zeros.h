/* SPDX-License-Identifier: MIT */
/* zeros.h - compare bytes with zeros. */
#ifndef QC_ZEROS_H
#define QC_ZEROS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Returns true if all of @n bytes are 0.  memcmp(3) is the fastest loop at hand: behind the first
 * bytes it compares each byte with one that is known to be 0. */
static inline bool qc_is_all_zeros(const uint8_t *p, size_t n)
{
	enum { HEAD = 64 };
	static const uint8_t none[HEAD];

	if (n <= HEAD)
		return !memcmp(p, none, n);
	return !memcmp(p, none, HEAD) && !memcmp(p, p + HEAD, n - HEAD);
}

#endif
