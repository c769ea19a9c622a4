/* SPDX-License-Identifier: MIT */
/*
 * geometry.h - splits guest offsets into L1 index, L2 index and offset in the cluster
 * (qcow2 spec, "Cluster mapping").
 */
#ifndef QC_GEOMETRY_H
#define QC_GEOMETRY_H

#include "base/util.h"
#include "format/qcow_layout.h"

/* Guest and host offsets are different types, so that the compiler keeps them apart. */
struct goff {
	uint64_t v;
};
struct hoff {
	uint64_t v;
};

enum qc_layout { LAYOUT_V1, LAYOUT_V2, LAYOUT_V3, LAYOUT_V3_EXTENDED };

struct geom {
	enum qc_layout layout;
	bool external;	       /* guest data is in an external data file */
	unsigned int cluster_bits;
	unsigned int l2_bits;  /* log2 of the entries of an L2 table */
	unsigned int entry_bits; /* log2 of the bytes of an L2 entry */
	uint64_t l1_offset;    /* host offset of the active L1 table */
	uint32_t l1_entries;
};

/* Returns true if L2 entries have a second word, the bitmap of subclusters. */
static inline bool geom_is_extended(const struct geom *g)
{
	return g->layout == LAYOUT_V3_EXTENDED;
}

/* Returns the cluster size in bytes. */
static inline uint64_t geom_cluster(const struct geom *g)
{
	return UINT64_C(1) << g->cluster_bits;
}

/* Returns the offset inside the cluster. */
static inline uint64_t geom_in_cluster(const struct geom *g, struct goff o)
{
	return o.v & (geom_cluster(g) - 1);
}

/* Returns the subcluster size in bytes, of extended L2 entries. */
static inline uint64_t geom_subcluster(const struct geom *g)
{
	return geom_cluster(g) / SUBCLUSTERS;
}

/* Returns the guest bytes that one L1 entry maps. */
static inline uint64_t geom_l1_span(const struct geom *g)
{
	return UINT64_C(1) << (g->cluster_bits + g->l2_bits);
}

static inline uint64_t geom_l1_index(const struct geom *g, struct goff o)
{
	return o.v >> (g->cluster_bits + g->l2_bits);
}

static inline uint64_t geom_l2_index(const struct geom *g, struct goff o)
{
	return (o.v >> g->cluster_bits) & ((UINT64_C(1) << g->l2_bits) - 1);
}

static inline uint64_t geom_l2_bytes(const struct geom *g)
{
	return UINT64_C(1) << (g->l2_bits + g->entry_bits);
}

/* Returns the L1 entries that a disk of @size bytes needs. */
static inline uint64_t geom_l1_need(const struct geom *g, uint64_t size)
{
	uint64_t span = geom_l1_span(g);

	return size / span + (size % span != 0);
}

#endif
