/* SPDX-License-Identifier: MIT */
/* byte_range.h - the part of a disk that a file of the mount shows. */
#ifndef BYTE_RANGE_H
#define BYTE_RANGE_H

#include <stdint.h>

struct byte_range {
	uint64_t start, len; /* bytes */
};

/* Returns the first byte behind the range; UINT64_MAX: it has no end. */
static inline uint64_t byte_range_end(const struct byte_range *r)
{
	return r->len > UINT64_MAX - r->start ? UINT64_MAX : r->start + r->len;
}

#endif
