/* SPDX-License-Identifier: MIT */
/* The hash is FNV-1a; the values were computed by another program. */
#include "base/hash.h"

#include "tap.h"

static void known_values(void)
{
	/* FNV-1a of 8 zero bytes, and of "foobar\0\0" in the order of bytes. */
	CHECK(hash_fnv_u64(HASH_FNV_BASIS, 0) == UINT64_C(0xa8c7f832281a39c5));
	CHECK(hash_fnv_u64(HASH_FNV_BASIS, UINT64_C(0x00007261626f6f66)) ==
	      UINT64_C(0x74c8e7eb4f245c28));
}

static void order_matters(void)
{
	CHECK(hash_fnv_u64(hash_fnv_u64(HASH_FNV_BASIS, 1), 2) !=
	      hash_fnv_u64(hash_fnv_u64(HASH_FNV_BASIS, 2), 1));
}

int main(void)
{
	RUN(known_values);
	RUN(order_matters);
	return DONE();
}
