/* SPDX-License-Identifier: MIT */
#include "layer/table_prefetch.h"

#include "base/range.h"
#include "format/l2_entry.h"

enum { AHEAD_BYTES = 4 << 20, AHEAD_TABLES_MIN = 4 };

/* Asks for tables that are neighbours in the file by one call. */
static void prefetch_entries(struct qc_table_prefetch *p, uint64_t end)
{
	const struct geom *g = &p->md->head->geom;
	uint64_t bytes = geom_l2_bytes(g), first = 0, run = 0;

	for (; p->next < end; p->next++) {
		struct hoff table;

		if (l1_decode(g, be64_at(p->l1 + 8 * p->next), &table) || !table.v)
			continue;
		if (run && table.v == first + run) {
			run += bytes;
			continue;
		}
		if (run)
			qc_file_prefetch(p->md->file, first, run);
		first = table.v;
		run = bytes;
	}
	if (run)
		qc_file_prefetch(p->md->file, first, run);
}

void qc_table_prefetch(struct qc_table_prefetch *p, uint64_t i)
{
	uint64_t n = max_u64(AHEAD_BYTES / geom_l2_bytes(&p->md->head->geom), AHEAD_TABLES_MIN);

	if (i + n / 2 >= p->next && p->next < p->l1_entries)
		prefetch_entries(p, min_u64(i + n, p->l1_entries));
}
