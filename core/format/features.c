/* SPDX-License-Identifier: MIT */
#include "format/features.h"

#include <stdio.h>
#include <string.h>

enum { READ = QC_FEATURE_READ, WRITE = QC_FEATURE_WRITE, KEEP = QC_FEATURE_KEEP };

/* Names are those that QEMU writes into feature name tables. */
static const struct {
	enum qc_feature_set set;
	uint64_t bit;
	const char *name;
	unsigned int rights;
} known[] = {
	{ QC_INCOMPATIBLE, INCOMPAT_DIRTY, "dirty bit", READ | WRITE | KEEP },
	{ QC_INCOMPATIBLE, INCOMPAT_CORRUPT, "corrupt bit", READ | KEEP },
	{ QC_INCOMPATIBLE, INCOMPAT_DATA_FILE, "external data file", READ | WRITE | KEEP },
	{ QC_INCOMPATIBLE, INCOMPAT_COMPRESSION, "compression type", READ | WRITE | KEEP },
	{ QC_INCOMPATIBLE, INCOMPAT_EXTENDED_L2, "extended L2 entries", READ | WRITE | KEEP },
	{ QC_COMPATIBLE, COMPAT_LAZY_REFCOUNTS, "lazy refcounts", READ | WRITE | KEEP },
	{ QC_AUTOCLEAR, AUTOCLEAR_BITMAPS, "bitmaps", READ | WRITE | KEEP },
	{ QC_AUTOCLEAR, AUTOCLEAR_RAW_DATA_FILE, "raw external data", READ | WRITE | KEEP },
};

uint64_t qc_features_with(enum qc_feature_set set, enum qc_feature_right right)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].set == set && known[i].rights & right)
			bits |= known[i].bit;
	return bits;
}

static const char *name_of_feature(enum qc_feature_set set, uint64_t bit)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].set == set && known[i].bit == bit)
			return known[i].name;
	return NULL;
}

size_t qc_features_list(enum qc_feature_set set, uint64_t bits, struct qc_feature *list)
{
	size_t n = 0;

	for (unsigned int i = 0; i < 64; i++) {
		uint64_t bit = UINT64_C(1) << i;
		const char *name = name_of_feature(set, bit);

		if (!(bits & bit))
			continue;
		list[n] = (struct qc_feature){ .set = set, .bit = i, .known = name };
		if (name)
			snprintf(list[n].name, sizeof(list[n].name), "%s", name);
		n++;
	}
	return n;
}

void qc_features_read_names(const uint8_t *table, size_t bytes, struct qc_feature *list, size_t n)
{
	for (size_t at = 0; at + FEATURE_NAME_BYTES <= bytes; at += FEATURE_NAME_BYTES) {
		const uint8_t *record = table + at;

		for (size_t i = 0; i < n; i++)
			if (!list[i].known && list[i].set == record[0] && list[i].bit == record[1])
				snprintf(list[i].name, sizeof(list[i].name), "%.*s",
					 FEATURE_NAME_TEXT, (const char *)record + 2);
	}
}

void qc_features_join_names(const struct qc_feature *list, size_t n, char *out, size_t size)
{
	size_t used = 0;

	out[0] = 0;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(list[i].name);

		if (len && used + len + sizeof(", ") <= size)
			used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
						 list[i].name);
	}
}
