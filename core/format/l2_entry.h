/* SPDX-License-Identifier: MIT */
/*
 * l2_entry.h - the fields of one L1 or L2 entry, for every version of the format.
 *
 * Called by all that read or change tables.  Decoding checks entries, which are hostile:
 * an entry that no sound program writes is -EIO.  So are reserved bits: QEMU ignores them,
 * but an entry with one flipped bit may have another.
 */
#ifndef QC_L2_ENTRY_H
#define QC_L2_ENTRY_H

#include <errno.h>

#include "base/byteorder.h"
#include "format/geometry.h"

enum qc_kind {
	QC_UNALLOCATED, /* reads from the backing file, or as zeros where there is none */
	QC_ZERO,
	QC_DATA,
	QC_COMPRESSED,
	QC_DAMAGED, /* of an extent, not of an entry: the tables do not say what it reads as */
};

struct l2_entry {
	enum qc_kind kind; /* extended: QC_UNALLOCATED, unless compressed */
	bool copied;	   /* COPIED: refcount is 1, may be written in place */
	struct hoff host;  /* of the cluster; of the first compressed byte; 0: none */
	uint32_t compressed_len; /* compressed data is at most this long */
	uint32_t alloc, zero;	 /* extended: one bit for each subcluster */
};

/* An L2 entry in the byte order of the machine. */
struct qc_l2_raw {
	uint64_t word;
	uint64_t bits; /* second word of an extended entry, else 0 */
};

/* ---- L1 entries ------------------------------------------------------------ */

/* Decodes an L1 entry to the host offset of its L2 table, 0 for none.  Return: 0; -EIO. */
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
		return -EIO; /* COPIED without a table */
	return 0;
}

static inline uint64_t l1_encode(const struct geom *g, struct hoff table, bool copied)
{
	return copied && table.v && g->layout != LAYOUT_V1 ? table.v | L2_COPIED : table.v;
}

/* Returns true if the L2 table of a valid L1 entry may be changed in place. */
static inline bool l1_is_writable(const struct geom *g, uint64_t raw)
{
	return g->layout == LAYOUT_V1 ? raw : raw & L2_COPIED;
}

/* ---- decoding L2 entries --------------------------------------------------- */

static inline qc_err compressed_decode_v1(const struct geom *g, uint64_t raw, struct l2_entry *e)
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
		return compressed_decode_v1(g, raw, e);
	if (!raw)
		return 0;
	e->kind = QC_DATA;
	e->copied = true; /* nothing is ever shared */
	e->host.v = raw;
	return raw % SECTOR || raw > INT64_MAX - geom_cluster(g) ? -EIO : 0;
}

/* The field counts sectors after the one in which the data begins. */
static inline qc_err compressed_decode(const struct geom *g, uint64_t raw, struct l2_entry *e)
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

/* Returns true if the entry has a host cluster, which may still read as zeros.  Offset 0 of
 * an external data file is a host cluster. */
static inline bool l2_entry_has_host(const struct geom *g, const struct l2_entry *e)
{
	return e->kind != QC_COMPRESSED && (e->host.v || (g->external && e->copied));
}

/* Decodes an L2 entry; @bits is ignored unless entries are extended.  Return: 0; -EIO. */
static inline qc_err l2_entry_decode(const struct geom *g, uint64_t raw, uint64_t bits,
				  struct l2_entry *e)
{
	*e = (struct l2_entry){ .kind = QC_UNALLOCATED };
	if (g->layout == LAYOUT_V1)
		return l2_entry_decode_v1(g, raw, e);
	if (raw & L2_COMPRESSED)
		return compressed_decode(g, raw, e);
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

/* Returns the host offset of a plain entry of a data cluster, as most entries are; 0 if the
 * entry must be decoded.  For loops over whole tables. */
static inline uint64_t l2_plain_host(const struct geom *g, uint64_t raw)
{
	uint64_t host = raw & L2_OFFSET_MASK;

	if (g->layout == LAYOUT_V1 || geom_is_extended(g) || g->external ||
	    raw & ~(L2_OFFSET_MASK | L2_COPIED) || host & (geom_cluster(g) - 1))
		return 0;
	return host;
}

static inline enum qc_kind subcluster_kind(const struct l2_entry *e, unsigned int sub)
{
	if (e->alloc >> sub & 1)
		return QC_DATA;
	return e->zero >> sub & 1 ? QC_ZERO : QC_UNALLOCATED;
}

/* ---- encoding L2 entries --------------------------------------------------- */

/* Returns true if the entry of a compressed cluster can hold the host offset. */
static inline bool compressed_offset_fits(const struct geom *g, struct hoff host)
{
	unsigned int bits = (g->layout == LAYOUT_V1 ? 63 : 70) - g->cluster_bits;

	return !(host.v >> bits) && (g->layout == LAYOUT_V1 || host.v < L2_OFFSET_END);
}

static inline uint64_t compressed_encode(const struct geom *g, const struct l2_entry *e)
{
	uint64_t sectors;

	if (g->layout == LAYOUT_V1)
		return L2_V1_COMPRESSED | (uint64_t)e->compressed_len << (63 - g->cluster_bits) |
		       e->host.v;
	sectors = (e->host.v % SECTOR + e->compressed_len + SECTOR - 1) / SECTOR;
	return L2_COMPRESSED | (sectors - 1) << (70 - g->cluster_bits) | e->host.v;
}

/*
 * l2_entry_encode() - the bytes that mean @e
 *
 * The inverse of l2_entry_decode() for every entry that it accepts.  Only bits without a
 * meaning are lost: COPIED of a compressed cluster, and the zero flag of an extended entry.
 */
static inline struct qc_l2_raw l2_entry_encode(const struct geom *g, const struct l2_entry *e)
{
	if (e->kind == QC_COMPRESSED)
		return (struct qc_l2_raw){ compressed_encode(g, e), 0 };
	if (g->layout == LAYOUT_V1)
		return (struct qc_l2_raw){ e->host.v, 0 };
	return (struct qc_l2_raw){
		.word = e->host.v | (e->copied ? L2_COPIED : 0) |
			(e->kind == QC_ZERO && !geom_is_extended(g) ? L2_ZERO : 0),
		.bits = geom_is_extended(g) ? (uint64_t)e->zero << SUBCLUSTERS | e->alloc : 0,
	};
}

/* ---- entries of a table in the bytes of the file ---------------------------- */

/* Decodes entry @i of the L2 table in @table.  Return: 0; -EIO. */
static inline qc_err l2_entry_at(const struct geom *g, const uint8_t *table, uint64_t i,
				 struct l2_entry *e)
{
	const uint8_t *p = table + (i << g->entry_bits);

	return l2_entry_decode(g, be64_at(p), geom_is_extended(g) ? be64_at(p + 8) : 0, e);
}

static inline void l2_entry_put(const struct geom *g, uint8_t *table, uint64_t i,
				struct qc_l2_raw raw)
{
	uint8_t *p = table + (i << g->entry_bits);

	be64_to(p, raw.word);
	if (geom_is_extended(g))
		be64_to(p + 8, raw.bits);
}

/* Sets or clears COPIED in entry @i, unless the entry is compressed or of version 1. */
static inline void l2_entry_set_copied(const struct geom *g, uint8_t *table, uint64_t i,
				       bool copied)
{
	uint8_t *p = table + (i << g->entry_bits);
	uint64_t word = be64_at(p);

	if (g->layout != LAYOUT_V1 && !(word & L2_COMPRESSED))
		be64_to(p, copied ? word | L2_COPIED : word & ~L2_COPIED);
}

#endif
