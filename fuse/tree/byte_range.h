/* SPDX-License-Identifier: MIT */
/* byte_range.h - the part of a disk that a file of the mount shows. */
#ifndef BYTE_RANGE_H
#define BYTE_RANGE_H

#include <stdint.h>

struct byte_range {
	uint64_t start, len; /* bytes */
};

#endif
