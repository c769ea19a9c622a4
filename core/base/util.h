/* SPDX-License-Identifier: MIT */
/* util.h - units, minimum and maximum, and pointers that free themselves. */
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

/* Calls free() on the pointer at the end of its scope. */
#define AUTO_FREE __attribute__((cleanup(qc_auto_free)))
static inline void qc_auto_free(void *p)
{
	free(*(void **)p);
}

#endif
