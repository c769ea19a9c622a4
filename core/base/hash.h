/* SPDX-License-Identifier: MIT */
/*
 * hash.h - FNV-1a, 64 bits: a hash of few bytes, in which an attacker gains nothing.
 *
 * Not for tables with keys of an image: collisions are easy to make.
 */
#ifndef QC_HASH_H
#define QC_HASH_H

#include <stdint.h>

#define HASH_FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define HASH_FNV_PRIME UINT64_C(0x100000001b3)

/* Returns the hash of all that @hash covers, followed by the 8 bytes of @v. */
static inline uint64_t hash_fnv_u64(uint64_t hash, uint64_t v)
{
	for (unsigned int i = 0; i < sizeof(v); i++, v >>= 8)
		hash = (hash ^ (v & 0xff)) * HASH_FNV_PRIME;
	return hash;
}

#endif
