/* SPDX-License-Identifier: MIT */
/*
 * fuzz-entry.c - the input is a geometry and then table entries.
 *
 *	u8 layout and data file (bit 2), u8 cluster bits, u8 L2 bits of version 1,
 *	then as often as there is more: u64 entry, u64 second word
 *
 * An accepted entry must have a valid offset.
 */
#include "fuzz.h"

#include "format/l2_entry.h"

static struct geom geometry(struct feed *f)
{
	uint8_t layout = (uint8_t)feed_number(f, 1);
	unsigned int bits = (unsigned int)feed_number(f, 1);
	unsigned int l2_bits = (unsigned int)feed_number(f, 1);
	struct geom g = { .layout = layout & 3, .entry_bits = 3 };

	g.external = layout & 4 && g.layout >= LAYOUT_V3;
	if (g.layout == LAYOUT_V1) {
		g.cluster_bits = 9 + bits % 8;
		g.l2_bits = 6 + l2_bits % 8;
		return g;
	}
	g.cluster_bits = 9 + bits % 13;
	if (g.layout == LAYOUT_V3_EXTENDED) {
		g.cluster_bits = 14 + bits % 8;
		g.entry_bits = 4;
	}
	g.l2_bits = g.cluster_bits - g.entry_bits;
	return g;
}

static void check_l1(const struct geom *g, uint64_t raw)
{
	struct hoff table;

	if (l1_decode(g, raw, &table))
		return;
	MUST(range_inside(table.v, geom_l2_bytes(g), INT64_MAX));
	if (g->layout == LAYOUT_V1) {
		MUST(table.v == raw);
		return;
	}
	MUST(table.v % geom_cluster(g) == 0 && table.v < UINT64_C(1) << 56);
	MUST(raw == table.v || raw == (table.v | L2_COPIED));
	MUST(table.v || !raw);
}

static void check_packed(const struct geom *g, uint64_t raw, const struct l2_entry *e)
{
	uint64_t cs = geom_cluster(g);

	MUST(e->compressed_len && range_inside(e->host.v, e->compressed_len, INT64_MAX));
	MUST(!e->alloc && !e->zero && !e->copied);
	if (g->layout == LAYOUT_V1) {
		MUST(raw >> 63 && e->compressed_len < cs);
		return;
	}
	MUST(raw >> 62 & 1 && !g->external);
	MUST(e->compressed_len <= 2 * cs && e->host.v < UINT64_C(1) << 56);
	/* It takes whole sectors, from where it begins. */
	MUST((e->host.v + e->compressed_len) % SECTOR == 0);
}

static void check_host(const struct geom *g, const struct l2_entry *e)
{
	MUST(range_inside(e->host.v, geom_cluster(g), INT64_MAX));
	MUST(e->host.v % (g->layout == LAYOUT_V1 ? SECTOR : geom_cluster(g)) == 0);
}

static void check_subclusters(const struct geom *g, const struct l2_entry *e, uint64_t bits)
{
	MUST(e->kind == QC_UNALLOCATED && !(e->alloc & e->zero));
	MUST(e->alloc == (uint32_t)bits && e->zero == bits >> 32);
	MUST(!e->alloc || e->host.v || (g->external && e->copied));
	for (unsigned int i = 0; i < SUBCLUSTERS; i++) {
		enum qc_kind k = subcluster_kind(e, i);

		MUST((k == QC_DATA) == (e->alloc >> i & 1));
		MUST((k == QC_ZERO) == (e->zero >> i & 1));
	}
}

static void check_entry(const struct geom *g, uint64_t raw, uint64_t bits)
{
	struct l2_entry e;

	if (l2_entry_decode(g, raw, bits, &e))
		return;
	MUST(raw || bits || e.kind == QC_UNALLOCATED);
	if (e.kind == QC_COMPRESSED) {
		check_packed(g, raw, &e);
		return;
	}
	check_host(g, &e);
	MUST(g->layout == LAYOUT_V1 || !(raw & L2_COMPRESSED));
	if (g->layout == LAYOUT_V3_EXTENDED) {
		check_subclusters(g, &e, bits);
		return;
	}
	MUST(!e.alloc && !e.zero);
	MUST((e.kind == QC_ZERO) == (g->layout == LAYOUT_V3 && raw & L2_ZERO));
	MUST(e.kind != QC_DATA || e.host.v || (g->external && e.copied));
	MUST(e.kind != QC_UNALLOCATED || !e.host.v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct feed f = { data, size };
	struct geom g = geometry(&f);

	do {
		uint64_t raw = feed_number(&f, 8), bits = feed_number(&f, 8);

		check_l1(&g, raw);
		check_entry(&g, raw, bits);
	} while (f.n);
	return 0;
}
