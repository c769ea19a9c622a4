/* SPDX-License-Identifier: MIT */
#include "format/measure.h"

#include "base/range.h"

/* Returns the bytes of refcount table and blocks for that many clusters, themselves included. */
static uint64_t refcount_bytes(uint64_t clusters, uint64_t cs, unsigned int order)
{
	uint64_t per_block = (cs * 8) >> order, blocks = 0, table = 0, all = 0, before;

	do {
		before = all;
		blocks = div_up(clusters + blocks + table, per_block);
		table = div_up(blocks * 8, cs);
		all = clusters + blocks + table;
	} while (all != before);
	return (blocks + table) * cs;
}

uint64_t qc_measure_metadata(const struct qc_new_layout *l, unsigned int order)
{
	const struct geom *g = &l->geom;
	uint64_t cs = geom_cluster(g), disk = round_up(l->size, cs);
	uint64_t l2_tables = div_up(disk / cs, UINT64_C(1) << g->l2_bits);
	uint64_t bytes = cs + l2_tables * geom_l2_bytes(g) + round_up(l2_tables * 8, cs);

	return bytes + refcount_bytes((bytes + disk) / cs, cs, order);
}
