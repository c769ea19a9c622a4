/* SPDX-License-Identifier: MIT */
#include "evidence/table_test.h"

#include "base/range.h"
#include "base/zeros.h"

static bool is_entry_in_file(const struct geom *g, const struct l2_entry *e, uint64_t file_bytes)
{
	uint64_t len = e->kind == QC_COMPRESSED ? 1 : geom_cluster(g);

	if (!e->host.v)
		return true;
	return e->host.v >= geom_cluster(g) &&
	       range_inside(e->host.v, len, round_up(file_bytes, geom_cluster(g)));
}

bool qc_table_test_l2(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes)
{
	uint64_t last = 0, references = 0;

	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (l2_entry_at(g, bytes, i, &e) || !is_entry_in_file(g, &e, file_bytes))
			return false;
		if (!e.host.v)
			continue;
		if (e.kind != QC_COMPRESSED && e.host.v == last)
			return false;
		last = e.host.v;
		references++;
	}
	return references > 0;
}

const char *qc_table_test_name(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes,
			       uint64_t len)
{
	if (qc_is_all_zeros(bytes, len))
		return "zeros";
	if (geom_l2_bytes(g) == len && qc_table_test_l2(g, file_bytes, bytes))
		return "l2-table";
	return "data";
}
