/* SPDX-License-Identifier: MIT */
#include "rescue/table_test.h"

#include "base/range.h"
#include "base/zeros.h"

enum { TARGETS_TRIED = 16 }; /* L2 tables of a cluster of an L1 table */

static bool is_entry_in_file(const struct geom *g, const struct l2_entry *e, uint64_t file_bytes)
{
	uint64_t len = e->kind == QC_COMPRESSED ? 1 : geom_cluster(g);

	if (!e->host.v)
		return true;
	return e->host.v >= geom_cluster(g) &&
	       range_inside(e->host.v, len, round_up(file_bytes, geom_cluster(g)));
}

/* With an external data file all entries tell the same guest offset of their table. */
static bool is_entry_in_place(const struct geom *g, const struct l2_entry *e, uint64_t i,
			      uint64_t *base)
{
	uint64_t inside = i << g->cluster_bits;

	if (!l2_entry_has_host(g, e))
		return true;
	if (e->host.v < inside || (e->host.v - inside) % geom_l1_span(g))
		return false;
	if (*base == UINT64_MAX)
		*base = e->host.v - inside;
	return e->host.v - inside == *base;
}

bool qc_table_test_entries(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes,
			   uint64_t len)
{
	uint64_t n = min_u64(len, geom_l2_bytes(g)) >> g->entry_bits, base = UINT64_MAX;

	for (uint64_t i = 0; i < n; i++) {
		struct l2_entry e;

		if (l2_entry_at(g, bytes, i, &e))
			return false;
		if (g->external ? !is_entry_in_place(g, &e, i, &base) :
				  !is_entry_in_file(g, &e, file_bytes))
			return false;
	}
	return true;
}

/* Counts the entries that reference a cluster.  Returns false if two that follow each other
 * reference the same one. */
static bool count_clusters_of_table(const struct geom *g, const uint8_t *bytes, uint64_t *n)
{
	uint64_t last = 0;

	*n = 0;
	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++) {
		struct l2_entry e;

		if (l2_entry_at(g, bytes, i, &e) || !(e.host.v || l2_entry_has_host(g, &e)))
			continue;
		if (e.kind != QC_COMPRESSED && e.host.v && e.host.v == last)
			return false;
		last = e.host.v;
		++*n;
	}
	return true;
}

bool qc_table_test_l2(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes)
{
	uint64_t n;

	return qc_table_test_entries(g, file_bytes, bytes, geom_l2_bytes(g)) &&
	       count_clusters_of_table(g, bytes, &n) && n;
}

bool qc_table_test_any_l2(const struct geom *g, uint64_t file_bytes, const uint8_t *bytes)
{
	uint64_t n;

	return qc_table_test_entries(g, file_bytes, bytes, geom_l2_bytes(g)) &&
	       count_clusters_of_table(g, bytes, &n) && !qc_is_all_zeros(bytes, geom_l2_bytes(g));
}

bool qc_table_test_l1(struct qc_file *f, const struct geom *g, uint64_t file_bytes,
		      const uint8_t *bytes, uint8_t *table)
{
	unsigned int tried = 0;
	size_t got;

	for (uint64_t i = 0; i < geom_cluster(g); i += 8) {
		struct hoff at;

		if (l1_decode(g, be64_at(bytes + i), &at) || at.v >= file_bytes)
			return false;
		if (!at.v || tried == TARGETS_TRIED)
			continue;
		tried++;
		if (qc_file_read(f, at.v, table, geom_l2_bytes(g), &got) ||
		    !qc_table_test_any_l2(g, file_bytes, table))
			return false;
	}
	return tried;
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
