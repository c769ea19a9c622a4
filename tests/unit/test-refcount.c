/* SPDX-License-Identifier: MIT */
#include "metadata/refcount.h"

#include <string.h>

#include "random.h"
#include "tap.h"

/* As they stand in files that QEMU made. */
static void bytes_of_the_format(void)
{
	static const struct {
		unsigned int order;
		uint8_t bytes[8];
		uint64_t count[8];
	} t[] = {
		{ 0, { 0x0f }, { 1, 1, 1, 1 } },
		{ 1, { 0x55, 0x5a }, { 1, 1, 1, 1, 2, 2, 1, 1 } },
		{ 2, { 0x11, 0x11, 0x22, 0x11 }, { 1, 1, 1, 1, 2, 2, 1, 1 } },
		{ 3, { 1, 2, 3, 4, 5, 255 }, { 1, 2, 3, 4, 5, 255 } },
		{ 4, { 0, 1, 1, 0, 255, 255, 0, 2 }, { 1, 256, 65535, 2 } },
		{ 5, { 0, 0, 0, 7, 1, 2, 3, 4 }, { 7, 0x01020304 } },
		{ 6, { 1, 2, 3, 4, 5, 6, 7, 8 }, { 0x0102030405060708 } },
	};

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct be64 read[8] = { 0 }, made[8] = { 0 };
		uint8_t out[8];

		be64_copy(&read[0], t[i].bytes);
		for (uint64_t k = 0; k < 8; k++) {
			CHECK(qc_refcount_word_get(read, t[i].order, k) == t[i].count[k]);
			qc_refcount_word_set(made, t[i].order, k, t[i].count[k]);
		}
		be64_bytes(&made[0], out);
		CHECK(!memcmp(out, t[i].bytes, 8));
	}
}

static void a_counter_touches_no_other(void)
{
	uint64_t seed = random_seed();

	for (unsigned int order = 0; order <= 6; order++) {
		uint64_t want[512] = { 0 }, n = 8 * 64 >> order;
		struct be64 words[8] = { 0 };

		for (int turn = 0; turn < 2000; turn++) {
			uint64_t i = random_below(&seed, n);
			uint64_t v = random_u64(&seed) & qc_refcount_max(order);

			qc_refcount_word_set(words, order, i, v);
			want[i] = v;
		}
		for (uint64_t i = 0; i < n; i++)
			CHECK(qc_refcount_word_get(words, order, i) == want[i]);
	}
}

static void greatest_counts(void)
{
	CHECK(qc_refcount_max(0) == 1 && qc_refcount_max(1) == 3 && qc_refcount_max(2) == 15);
	CHECK(qc_refcount_max(3) == 255 && qc_refcount_max(4) == 65535);
	CHECK(qc_refcount_max(5) == UINT32_MAX && qc_refcount_max(6) == UINT64_MAX);
}

int main(void)
{
	RUN(bytes_of_the_format);
	RUN(a_counter_touches_no_other);
	RUN(greatest_counts);
	return DONE();
}
