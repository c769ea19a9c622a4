/* SPDX-License-Identifier: MIT */
#include "base/byteorder.h"

#include "tap.h"

static const uint8_t bytes[] = { 0xee, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xee };

static void numbers_at_odd_addresses(void)
{
	CHECK(be16_at(bytes + 1) == 0x0123);
	CHECK(be32_at(bytes + 1) == 0x01234567);
	CHECK(be64_at(bytes + 1) == UINT64_C(0x0123456789abcdef));
	CHECK(be16_at(bytes + 2) == 0x2345);
	CHECK(be32_at(bytes + 5) == 0x89abcdef);
	CHECK(be64_at(bytes + 2) == UINT64_C(0x23456789abcdefee));
}

static void high_bits_are_not_signs(void)
{
	static const uint8_t ones[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	CHECK(be16_at(ones) == UINT16_MAX);
	CHECK(be32_at(ones) == UINT32_MAX);
	CHECK(be64_at(ones) == UINT64_MAX);
	CHECK((uint64_t)be32_at(ones) == UINT64_C(0xffffffff));
}

static void table_words(void)
{
	struct be64 w[2] = { 0 };

	be64_copy(&w[0], bytes + 1);
	CHECK(be64_get(&w[0]) == UINT64_C(0x0123456789abcdef));
	CHECK(be64_get(&w[1]) == 0);
	CHECK(!memcmp(&w[0], bytes + 1, 8)); /* stays as it is in the file */
}

int main(void)
{
	RUN(numbers_at_odd_addresses);
	RUN(high_bits_are_not_signs);
	RUN(table_words);
	return DONE();
}
