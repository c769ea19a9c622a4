/* SPDX-License-Identifier: MIT */
/*
 * l2_entry.h - what one table entry says, for every version of the format.
 *
 * Pure functions on numbers.  An entry that no sound writer makes is -EIO, and
 * so are reserved bits: QEMU overlooks them, but an entry with one flipped bit
 * may have another.
 */
#ifndef QC_L2_ENTRY_H
#define QC_L2_ENTRY_H

#include <errno.h>

#include "format/geometry.h"

enum qc_kind {
	QC_UNALLOCATED, /* the backing file's, or zeros where there is none */
	QC_ZERO,
	QC_DATA,
	QC_COMPRESSED, /* compressed */
};

struct l2_entry {
	enum qc_kind kind; /* of the cluster; extended: of what bitmaps leave open */
	bool copied;	   /* COPIED: may be written in place */
	struct hoff host;  /* data, packed */
	uint32_t compressed_len; /* most bytes that the packed cluster takes */
	uint32_t alloc, zero; /* extended: one bit a subcluster */
};

/* L1 entry -> host offset of the L2 table, 0 for none. */
static inline qc_err l1_decode(const struct geom *g, uint64_t raw, struct hoff *table)
{
	if (g->layout == LAYOUT_V1) {
		table->v = raw;
		return raw > INT64_MAX - geom_l2_bytes(g) ? -EIO : 0;
	}
	table->v = raw & L1_OFFSET_MASK;
	if (raw & L1_RESERVED || table->v & (geom_cluster(g) - 1))
		return -EIO;
	if (!table->v && raw)
		return -EIO; /* COPIED, but of nothing */
	return 0;
}

static inline qc_err packed_decode_v1(const struct geom *g, uint64_t raw, struct l2_entry *e)
{
	unsigned int shift = 63 - g->cluster_bits;

	e->kind = QC_COMPRESSED;
	e->compressed_len = (uint32_t)(raw >> shift & (geom_cluster(g) - 1));
	e->host.v = raw & ((UINT64_C(1) << shift) - 1);
	return e->compressed_len ? 0 : -EIO;
}

static inline qc_err l2_entry_decode_v1(const struct geom *g, uint64_t raw, struct l2_entry *e)
{
	if (raw & L2_V1_COMPRESSED)
		return packed_decode_v1(g, raw, e);
	if (!raw)
		return 0;
	e->kind = QC_DATA;
	e->copied = true; /* nothing is ever shared */
	e->host.v = raw;
	return raw % SECTOR || raw > INT64_MAX - geom_cluster(g) ? -EIO : 0;
}

/* The field counts sectors after the one in which the data begins. */
static inline qc_err packed_decode(const struct geom *g, uint64_t raw, struct l2_entry *e)
{
	unsigned int shift = 70 - g->cluster_bits;
	uint64_t sectors = (raw >> shift & ((UINT64_C(1) << (g->cluster_bits - 8)) - 1)) + 1;

	e->kind = QC_COMPRESSED;
	e->host.v = raw & ((UINT64_C(1) << shift) - 1);
	e->compressed_len = (uint32_t)(sectors * SECTOR - e->host.v % SECTOR);
	return g->external || e->host.v >= L2_OFFSET_END ? -EIO : 0;
}

static inline qc_err bitmaps_decode(uint64_t bits, struct l2_entry *e)
{
	e->alloc = (uint32_t)bits;
	e->zero = (uint32_t)(bits >> SUBCLUSTERS);
	if (e->alloc & e->zero || (e->alloc && e->kind != QC_DATA))
		return -EIO;
	e->kind = QC_UNALLOCATED;
	return 0;
}

/* Whether it names a cluster, whatever that reads as.  In a data file offset 0 is one. */
static inline bool l2_entry_has_host(const struct geom *g, const struct l2_entry *e)
{
	return e->kind != QC_COMPRESSED && (e->host.v || (g->external && e->copied));
}

/* `bits` is the second word of an extended entry, else not looked at. */
static inline qc_err l2_entry_decode(const struct geom *g, uint64_t raw, uint64_t bits,
				  struct l2_entry *e)
{
	*e = (struct l2_entry){ .kind = QC_UNALLOCATED };
	if (g->layout == LAYOUT_V1)
		return l2_entry_decode_v1(g, raw, e);
	if (raw & L2_COMPRESSED)
		return packed_decode(g, raw, e);
	e->copied = raw & L2_COPIED;
	e->host.v = raw & L2_OFFSET_MASK;
	if (raw & L2_RESERVED || e->host.v & (geom_cluster(g) - 1))
		return -EIO;
	if (l2_entry_has_host(g, e))
		e->kind = QC_DATA;
	if (geom_is_extended(g))
		return bitmaps_decode(bits, e);
	if (raw & L2_ZERO && g->layout == LAYOUT_V2)
		return -EIO;
	if (raw & L2_ZERO)
		e->kind = QC_ZERO;
	return 0;
}

static inline enum qc_kind subcluster_kind(const struct l2_entry *e, unsigned int sub)
{
	if (e->alloc >> sub & 1)
		return QC_DATA;
	return e->zero >> sub & 1 ? QC_ZERO : QC_UNALLOCATED;
}

#endif
