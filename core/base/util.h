/* SPDX-License-Identifier: MIT */
/* util.h - units, minimum and maximum, order, and pointers that free themselves. */
#ifndef QC_UTIL_H
#define QC_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "qcow.h"

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Compares two numbers of 64 bits, for qsort(3) and bsearch(3). */
static inline int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Calls free() on the pointer at the end of its scope. */
#define AUTO_FREE __attribute__((cleanup(qc_auto_free)))
static inline void qc_auto_free(void *p)
{
	free(*(void **)p);
}

#endif
