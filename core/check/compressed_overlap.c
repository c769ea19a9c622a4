/* SPDX-License-Identifier: MIT */
#include "check/compressed_overlap.h"

#include <errno.h>

#include "base/range.h"

enum { EXTENTS_MAX = 128 * 1024 };

struct compressed_extent {
	uint64_t host, len; /* bytes that belong to it for certain */
	uint64_t guest, table;
	bool in_snapshot;
};

struct compressed_extents {
	struct qc_reference_count *m;
	struct compressed_extent *at;
	size_t n;
	uint64_t first, end; /* clusters whose extents are collected */
};

/* ---- collecting ------------------------------------------------------------------- */

static bool has_compressed(const struct qc_reference_count *m, uint64_t cluster)
{
	return m->count[cluster - m->first] & QC_REF_COMPRESSED;
}

/* Returns true if the extent is in one of the clusters that are looked at. */
static bool is_collected(const struct compressed_extents *x, uint64_t off, uint64_t len)
{
	const struct qc_reference_count *m = x->m;
	uint64_t first = max_u64(off >> m->bits, x->first), end;

	if (!len || !range_inside(off, len, m->end))
		return false;
	end = min_u64(div_up(off + len, UINT64_C(1) << m->bits), x->end);
	for (uint64_t c = first; c < end; c++)
		if (has_compressed(m, c))
			return true;
	return false;
}

static uint64_t certain_length(const struct geom *g, const struct l2_entry *e)
{
	uint64_t last = (e->host.v + e->compressed_len - 1) & ~(uint64_t)(SECTOR - 1);

	if (e->kind != QC_COMPRESSED)
		return geom_cluster(g);
	if (g->layout == LAYOUT_V1)
		return e->compressed_len;
	return last <= e->host.v ? 1 : last + 1 - e->host.v;
}

static void collect_entry(struct compressed_extents *x, const struct qc_metadata_item *l2, uint64_t i)
{
	const struct geom *g = x->m->g;
	struct l2_entry e;
	uint64_t len;

	if (l2_entry_at(g, l2->bytes, i, &e) || (e.kind != QC_COMPRESSED && !e.host.v))
		return;
	/* In version 1 the count of references finds data that overlaps. */
	if (e.kind != QC_COMPRESSED && (g->external || g->layout == LAYOUT_V1))
		return;
	len = e.kind == QC_COMPRESSED ? e.compressed_len : geom_cluster(g);
	if (x->n < EXTENTS_MAX && is_collected(x, e.host.v, len))
		x->at[x->n++] = (struct compressed_extent){
			e.host.v, certain_length(g, &e),
			l2->index * geom_l1_span(g) + (i << g->cluster_bits), l2->off,
			l2->in_snapshot,
		};
}

static qc_err collect_table(void *arg, struct qc_metadata_item *item)
{
	struct compressed_extents *x = arg;
	const struct geom *g = x->m->g;

	if (item->kind != QC_METADATA_L2_TABLE || item->invalid || !item->bytes)
		return 0;
	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++)
		if (be64_at(item->bytes + (i << g->entry_bits)))
			collect_entry(x, item, i);
	return 0;
}

/* ---- comparing --------------------------------------------------------------------- */

static int compare_compressed_extents(const void *a, const void *b)
{
	const struct compressed_extent *x = a, *y = b;

	if (x->host != y->host)
		return x->host < y->host ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->guest < y->guest ? -1 : x->guest > y->guest;
}

static void report_overlap(const struct compressed_extents *x, const struct compressed_extent *e,
			   struct qc_findings *out)
{
	const struct geom *g = x->m->g;
	uint64_t cluster = e->host >> x->m->bits;
	struct qc_finding f = {
		.kind = QC_FINDING_OVERLAP,
		.in_snapshot = e->in_snapshot,
		.table = qc_finding_table(QC_METADATA_L2_TABLE),
		.table_offset = e->table,
		.index = geom_l2_index(g, (struct goff){ e->guest }),
		.guest_offset = e->guest,
		.host_offset = e->host,
		.references = qc_reference_count_of(x->m, cluster),
	};

	qc_findings_add(out, &f);
}

/* Reports each extent that begins in an earlier one, and in a cluster that is looked at. */
static void compare_collected(struct compressed_extents *x, struct qc_findings *out)
{
	uint64_t end = 0;

	qsort(x->at, x->n, sizeof(*x->at), compare_compressed_extents);
	for (size_t i = 0; i < x->n; i++) {
		const struct compressed_extent *e = &x->at[i];
		uint64_t cluster = e->host >> x->m->bits;

		if (i && e->host == e[-1].host && e->len == e[-1].len)
			continue;
		if (e->host < end && cluster >= x->first && cluster < x->end)
			report_overlap(x, e, out);
		end = max_u64(end, e->host + e->len);
	}
}

/* Moves `end` behind as many clusters as have room for all their extents.  A cluster with
 * more references than that is left out. */
static bool choose_clusters(struct compressed_extents *x)
{
	const struct qc_reference_count *m = x->m;
	uint64_t end = qc_reference_count_end(m), n = 0;

	for (x->first = x->end; x->end < end; x->end++) {
		uint64_t references = qc_reference_count_of(m, x->end);

		if (!has_compressed(m, x->end))
			continue;
		if (n && n + references > EXTENTS_MAX)
			break;
		n += references;
		if (n > EXTENTS_MAX)
			n = 0, x->first = x->end + 1;
	}
	return n;
}

qc_err qc_compressed_overlap_check(struct qc_reference_count *m, struct qc_findings *out)
{
	struct compressed_extents x = { .m = m, .end = m->first };
	qc_err r = 0;

	while (!r && choose_clusters(&x)) {
		if (!x.at)
			x.at = malloc(EXTENTS_MAX * sizeof(*x.at));
		x.n = 0;
		r = x.at ? qc_metadata_for_each(m->md, QC_WALK_READ_L2, collect_table, &x) : -ENOMEM;
		if (!r)
			compare_collected(&x, out);
	}
	free(x.at);
	return r;
}
