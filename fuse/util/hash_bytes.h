/* SPDX-License-Identifier: MIT */
/* hash_bytes.h - a 64-bit hash of bytes: for tables and inode numbers, not against forgery. */
#ifndef HASH_BYTES_H
#define HASH_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Returns the hash of n bytes.  Chain calls by passing one result as the next seed. */
static inline uint64_t hash_bytes(uint64_t seed, const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t h = seed ^ UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

#endif
