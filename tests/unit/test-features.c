/* SPDX-License-Identifier: MIT */
/* Which feature bits are known, what they allow, and how unknown ones get their names. */
#include "format/features.h"

#include <string.h>

#include "tap.h"

static struct qc_feature list[QC_FEATURES_MAX];

static void rights_of_known_bits(void)
{
	CHECK(qc_features_with(QC_INCOMPATIBLE, QC_FEATURE_READ) == 0x1f);
	CHECK(qc_features_with(QC_INCOMPATIBLE, QC_FEATURE_WRITE) == 0x1d); /* not corrupt */
	CHECK(qc_features_with(QC_COMPATIBLE, QC_FEATURE_READ) == 1);
	CHECK(qc_features_with(QC_AUTOCLEAR, QC_FEATURE_READ) == 3);
	CHECK(qc_features_with(QC_AUTOCLEAR, QC_FEATURE_KEEP) == 3); /* bitmaps, raw data */
}

static void set_bits_are_listed_in_order(void)
{
	CHECK(qc_features_list(QC_INCOMPATIBLE, 0, list) == 0);
	CHECK(qc_features_list(QC_AUTOCLEAR, UINT64_C(1) << 63 | 3, list) == 3);
	CHECK(list[0].known && !strcmp(list[0].name, "bitmaps") && list[0].set == QC_AUTOCLEAR);
	CHECK(list[1].known && !strcmp(list[1].name, "raw external data"));
	CHECK(!list[2].known && !*list[2].name && list[2].bit == 63);
	CHECK(qc_features_list(QC_COMPATIBLE, UINT64_MAX, list) == 64 && list[63].bit == 63);
}

static void put_record(uint8_t *at, uint8_t set, uint8_t bit, const char *name)
{
	memset(at, 0, FEATURE_NAME_BYTES);
	at[0] = set;
	at[1] = bit;
	memcpy(at + 2, name, strlen(name));
}

static void unknown_bits_get_names_of_the_image(void)
{
	uint8_t table[4 * FEATURE_NAME_BYTES];
	char longest[FEATURE_NAME_TEXT + 1];
	size_t n = qc_features_list(QC_INCOMPATIBLE, 1 | 1 << 6 | 1 << 7, list);

	memset(longest, 'x', sizeof(longest) - 1);
	longest[FEATURE_NAME_TEXT] = 0;
	put_record(table, 0, 0, "another name of the dirty bit");
	put_record(table + FEATURE_NAME_BYTES, 0, 6, longest);
	put_record(table + 2 * FEATURE_NAME_BYTES, 1, 7, "of another set");
	put_record(table + 3 * FEATURE_NAME_BYTES, 0, 7, "cut off");
	qc_features_read_names(table, sizeof(table) - 1, list, n);
	CHECK(!strcmp(list[0].name, "dirty bit"));
	CHECK(!strcmp(list[1].name, longest));
	CHECK(!*list[2].name);
	qc_features_read_names(table, sizeof(table), list, n);
	CHECK(!strcmp(list[2].name, "cut off"));
}

static void names_are_joined_as_far_as_they_fit(void)
{
	char out[32];
	size_t n = qc_features_list(QC_INCOMPATIBLE, 3 | 1 << 9 | 1 << 4, list);

	qc_features_join_names(list, n, out, sizeof(out));
	CHECK(!strcmp(out, "dirty bit, corrupt bit")); /* "extended L2 entries" does not fit */
	qc_features_join_names(list, 0, out, sizeof(out));
	CHECK(!*out);
	qc_features_join_names(list, n, out, 1);
	CHECK(!*out);
}

int main(void)
{
	RUN(rights_of_known_bits);
	RUN(set_bits_are_listed_in_order);
	RUN(unknown_bits_get_names_of_the_image);
	RUN(names_are_joined_as_far_as_they_fit);
	return DONE();
}
