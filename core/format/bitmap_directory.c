/* SPDX-License-Identifier: MIT */
/*
 * bitmap_directory.c - an entry is a fixed part, extra data and a name, padded to 8 bytes.
 * qcow-format(7) has the fields.
 */
#include "format/bitmap_directory.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/range.h"

enum {
	DIR_TABLE_OFFSET = 0,	/* u64 */
	DIR_TABLE_ENTRIES = 8,	/* u32 */
	DIR_FLAGS = 12,		/* u32 */
	DIR_TYPE = 16,		/* u8 */
	DIR_GRANULARITY = 17,	/* u8, log2 of the bytes */
	DIR_NAME_LEN = 18,	/* u16 */
	DIR_EXTRA_LEN = 20,	/* u32 */
	DIR_FIXED = 24,

	FLAG_IN_USE = 1 << 0,
	FLAG_AUTO = 1 << 1,
	FLAG_EXTRA_COMPATIBLE = 1 << 2,
	FLAGS_RESERVED = ~(FLAG_IN_USE | FLAG_AUTO | FLAG_EXTRA_COMPATIBLE),

	TYPE_TRACKING = 1,
	GRANULARITY_MAX = 63,
	TABLE_ENTRIES_MAX = 0x8000000,
};

static bool parse_bitmap_entry(const uint8_t *p, uint64_t cluster, struct qc_bitmap *b)
{
	uint32_t flags = be32_at(p + DIR_FLAGS);

	*b = (struct qc_bitmap){
		.name = (const char *)p + DIR_FIXED + be32_at(p + DIR_EXTRA_LEN),
		.name_len = be16_at(p + DIR_NAME_LEN),
		.in_use = flags & FLAG_IN_USE,
		.is_auto = flags & FLAG_AUTO,
		.table_offset = be64_at(p + DIR_TABLE_OFFSET),
		.table_entries = be32_at(p + DIR_TABLE_ENTRIES),
		.extra_len = be32_at(p + DIR_EXTRA_LEN),
		.extra_compatible = flags & FLAG_EXTRA_COMPATIBLE,
	};
	if (flags & (uint32_t)FLAGS_RESERVED || p[DIR_TYPE] != TYPE_TRACKING ||
	    p[DIR_GRANULARITY] > GRANULARITY_MAX ||
	    !b->name_len || b->name_len > NAME_MAX_LEN || !b->table_entries ||
	    b->table_entries > TABLE_ENTRIES_MAX || !b->table_offset ||
	    b->table_offset & (cluster - 1))
		return false;
	b->granularity = UINT64_C(1) << p[DIR_GRANULARITY];
	return true;
}

qc_err qc_bitmaps_parse(const uint8_t *dir, uint64_t bytes, uint64_t cluster, uint32_t n,
			struct qc_bitmap *out, uint32_t *got)
{
	uint64_t at = 0;

	for (*got = 0; *got < n; ++*got) {
		uint64_t len = DIR_FIXED;

		if (!range_inside(at, len, bytes))
			return -EINVAL;
		len += be32_at(dir + at + DIR_EXTRA_LEN);
		len += be16_at(dir + at + DIR_NAME_LEN);
		if (!range_inside(at, len, bytes) ||
		    !parse_bitmap_entry(dir + at, cluster, &out[*got]))
			return -EINVAL;
		at = round_up(at + len, 8);
	}
	return at == bytes ? 0 : -EINVAL;
}

uint64_t qc_bitmaps_entry_bytes(const struct qc_bitmap *b)
{
	return round_up(DIR_FIXED + (uint64_t)b->extra_len + b->name_len, 8);
}

void qc_bitmaps_put_entry(uint8_t *to, const struct qc_bitmap *b)
{
	size_t text = (size_t)b->extra_len + b->name_len;

	memset(to, 0, qc_bitmaps_entry_bytes(b));
	be64_to(to + DIR_TABLE_OFFSET, b->table_offset);
	be32_to(to + DIR_TABLE_ENTRIES, b->table_entries);
	be32_to(to + DIR_FLAGS, (b->in_use ? FLAG_IN_USE : 0) | (b->is_auto ? FLAG_AUTO : 0) |
				(b->extra_compatible ? FLAG_EXTRA_COMPATIBLE : 0));
	to[DIR_TYPE] = TYPE_TRACKING;
	to[DIR_GRANULARITY] = (uint8_t)__builtin_ctzll(b->granularity);
	be16_to(to + DIR_NAME_LEN, (uint16_t)b->name_len);
	be32_to(to + DIR_EXTRA_LEN, b->extra_len);
	memcpy(to + DIR_FIXED, b->name - b->extra_len, text);
}

bool qc_bitmaps_is_table_entry_valid(const struct geom *g, uint64_t entry)
{
	uint64_t off = entry & L1_OFFSET_MASK;

	/* Bits 1 to 8 and 56 to 63 are reserved (qcow2 spec, "Bitmap table"). */
	return !(entry & ((L1_RESERVED & ~QC_BITMAP_ONES) | L2_COPIED)) &&
	       !(off & (geom_cluster(g) - 1)) && !(off && entry & QC_BITMAP_ONES);
}

/* Reads the directory into memory one byte longer, for the NUL of the last name. */
static qc_err read_bitmap_directory(struct qc_file *f, const struct qc_header *h, char **out)
{
	size_t got = 0;
	qc_err r;

	if (h->bitmaps > QC_BITMAPS_MAX || h->bitmaps_bytes > QC_BITMAP_DIRECTORY_MAX)
		return -EFBIG;
	if (h->bitmaps_reserved || h->bitmaps_offset & (geom_cluster(&h->geom) - 1) ||
	    h->bitmaps_offset > INT64_MAX)
		return -EINVAL;
	*out = malloc(h->bitmaps_bytes + 1);
	r = *out ? qc_file_read(f, h->bitmaps_offset, *out, h->bitmaps_bytes, &got) : -ENOMEM;
	if (!r && got < h->bitmaps_bytes)
		r = -EIO;
	return r;
}

/* Appends a NUL to each name.  The NUL may overwrite the next entry, so all entries must
 * have been parsed. */
static void terminate_bitmap_names(struct qc_bitmaps *b)
{
	for (size_t i = 0; i < b->n; i++)
		((char *)b->at[i].name)[b->at[i].name_len] = 0;
}

qc_err qc_bitmaps_read(struct qc_file *f, const struct qc_header *h, struct qc_bitmaps *out)
{
	uint32_t n = 0;
	qc_err r;

	*out = (struct qc_bitmaps){ 0 };
	if (!h->bitmaps)
		return 0;
	r = read_bitmap_directory(f, h, &out->text);
	if (!r) {
		out->at = calloc(h->bitmaps, sizeof(*out->at));
		r = out->at ? 0 : -ENOMEM;
	}
	if (!r)
		r = qc_bitmaps_parse((const uint8_t *)out->text, h->bitmaps_bytes,
				     geom_cluster(&h->geom), h->bitmaps, out->at, &n);
	out->n = n;
	terminate_bitmap_names(out);
	return r;
}

void qc_bitmaps_free(struct qc_bitmaps *b)
{
	free(b->at);
	free(b->text);
	*b = (struct qc_bitmaps){ 0 };
}
