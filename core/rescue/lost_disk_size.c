/* SPDX-License-Identifier: MIT */
#include "rescue/lost_disk_size.h"

#include <string.h>

#include "base/range.h"
#include "format/l2_entry.h"

static uint64_t last_used_entry(struct qc_file *f, const struct geom *g)
{
	AUTO_FREE uint8_t *l1 = malloc(g->l1_entries * UINT64_C(8) + 1);
	uint64_t last = 0;
	size_t got;

	if (!l1 || qc_file_read(f, g->l1_offset, l1, g->l1_entries * UINT64_C(8), &got))
		return g->l1_entries;
	for (uint64_t i = 0; i < g->l1_entries; i++)
		if (be64_at(l1 + 8 * i))
			last = i + 1;
	return last;
}

/* CRC-32 as in ISO 3309, of the header of a GPT (UEFI, "GPT header"). */
static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (unsigned int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
	}
	return ~crc;
}

static uint64_t le_at(const uint8_t *p, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | p[bytes];
	return v;
}

/* Reads the second sector of the disk, if it is plain data. */
static bool read_second_sector(struct qc_file *f, const struct qc_header *h, uint8_t *out)
{
	const struct geom *g = &h->geom;
	struct goff at = { SECTOR };
	uint8_t raw[16];
	struct hoff table;
	struct l2_entry e;
	size_t got;

	if (h->crypt || qc_file_read(f, g->l1_offset, raw, 8, &got) ||
	    l1_decode(g, be64_at(raw), &table) || !table.v)
		return false;
	if (qc_file_read(f, table.v + (geom_l2_index(g, at) << g->entry_bits), raw, 16, &got) ||
	    l2_entry_decode(g, be64_at(raw), geom_is_extended(g) ? be64_at(raw + 8) : 0, &e) ||
	    e.kind == QC_COMPRESSED || !e.host.v)
		return false;
	return !qc_file_read(f, e.host.v + geom_in_cluster(g, at), out, SECTOR, &got);
}

/* Returns the size that the partition table of the disk tells; 0: none. */
static uint64_t size_of_gpt(struct qc_file *f, const struct qc_header *h)
{
	uint8_t gpt[SECTOR];
	uint64_t bytes, crc, last;

	if (!read_second_sector(f, h, gpt) || memcmp(gpt, "EFI PART", 8) != 0)
		return 0;
	bytes = le_at(gpt + 12, 4);
	crc = le_at(gpt + 16, 4);
	last = le_at(gpt + 32, 8);
	if (bytes < 92 || bytes > SECTOR || last > INT64_MAX / SECTOR)
		return 0;
	memset(gpt + 16, 0, 4);
	return crc32_of(gpt, (size_t)bytes) == crc ? (last + 1) * SECTOR : 0;
}

uint64_t qc_lost_disk_size(struct qc_file *f, const struct qc_header *h, uint64_t snapshot_size)
{
	uint64_t used = last_used_entry(f, &h->geom), span = geom_l1_span(&h->geom);
	uint64_t least = used ? (used - 1) * span + 1 : 0, most = h->geom.l1_entries * span;
	uint64_t size = size_of_gpt(f, h);

	if (size < least || size > most)
		size = snapshot_size;
	return size < least || size > most ? used * span : size;
}
