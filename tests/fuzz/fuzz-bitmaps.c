/* SPDX-License-Identifier: MIT */
/*
 * fuzz-bitmaps.c - the input is a bitmap directory, after a byte with the number of its entries
 * and 8 bytes of a table entry.
 *
 * Names lie inside the directory, and entries that are written again are read as the same.
 */
#include "fuzz.h"

#include "base/byteorder.h"
#include "format/bitmap_directory.h"

enum { ENTRIES = 64, CLUSTER = 65536, HEAD = 9 };

static void must_be_same(const struct qc_bitmap *a, const struct qc_bitmap *b)
{
	MUST(a->in_use == b->in_use && a->is_auto == b->is_auto && a->granularity == b->granularity);
	MUST(a->table_offset == b->table_offset && a->table_entries == b->table_entries);
	MUST(a->extra_len == b->extra_len && a->extra_compatible == b->extra_compatible);
	MUST(a->name_len == b->name_len);
	MUST(!memcmp(a->name - a->extra_len, b->name - b->extra_len, a->extra_len + a->name_len));
}

static void write_again(const struct qc_bitmap *list, uint32_t n)
{
	struct qc_bitmap again[ENTRIES];
	uint64_t bytes = 0, at = 0;
	uint32_t got;
	uint8_t *raw;

	for (uint32_t i = 0; i < n; i++)
		bytes += qc_bitmaps_entry_bytes(&list[i]);
	raw = malloc(bytes + 1);
	for (uint32_t i = 0; i < n; i++) {
		qc_bitmaps_put_entry(raw + at, &list[i]);
		at += qc_bitmaps_entry_bytes(&list[i]);
	}
	MUST(!qc_bitmaps_parse(raw, bytes, CLUSTER, n, again, &got) && got == n);
	for (uint32_t i = 0; i < n; i++)
		must_be_same(&list[i], &again[i]);
	free(raw);
}

static void check_table_entry(uint64_t entry)
{
	const struct geom g = { .cluster_bits = 16 };
	uint64_t off = entry & ~QC_BITMAP_ONES;

	if (qc_bitmaps_is_table_entry_valid(&g, entry))
		MUST(off % CLUSTER == 0 && off < UINT64_C(1) << 56 && !(off && entry & QC_BITMAP_ONES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qc_bitmap list[ENTRIES];
	uint32_t n, got;
	uint8_t *copy;
	qc_err r;

	if (size < HEAD)
		return 0;
	n = *data % ENTRIES;
	check_table_entry(be64_at(data + 1));
	size -= HEAD;
	copy = malloc(size + 1); /* so that a read behind it is seen */
	memcpy(copy, data + HEAD, size);
	r = qc_bitmaps_parse(copy, size, CLUSTER, n, list, &got);
	MUST(!r || r == -EINVAL);
	MUST(got <= n && (r || got == n));
	for (uint32_t i = 0; i < got; i++) {
		const uint8_t *name = (const uint8_t *)list[i].name;

		MUST(name >= copy + list[i].extra_len && name + list[i].name_len <= copy + size);
	}
	write_again(list, got);
	free(copy);
	return 0;
}
