/* SPDX-License-Identifier: MIT */
#include "check/reference_search.h"

#include <errno.h>

#include "base/range.h"

struct search {
	struct qc_reference_search *s;
	struct qc_reference_count *m;
};

qc_err qc_reference_search_add(struct qc_reference_search *s, const struct qc_finding *f)
{
	if (s->n == QC_SEARCH_MAX)
		return -ENOSPC;
	if (!s->found)
		s->found = malloc(QC_SEARCH_MAX * sizeof(*s->found));
	if (!s->found)
		return -ENOMEM;
	s->found[s->n++] = *f;
	s->is_wanted = s->is_wanted || f->references;
	return 0;
}

static struct qc_finding *find_by_cluster(const struct search *x, uint64_t cluster)
{
	struct qc_reference_search *s = x->s;
	size_t from = 0, to = s->n;

	while (to - from > 1) {
		size_t mid = from + (to - from) / 2;

		if (s->found[mid].host_offset >> x->m->bits > cluster)
			to = mid;
		else
			from = mid;
	}
	return &s->found[from];
}

/* Notes @where as the reference to each collected cluster of an extent that has none yet. */
static void note_reference(const struct search *x, uint64_t off, uint64_t len,
			   const struct qc_finding *where)
{
	struct qc_reference_count *m = x->m;
	uint64_t first = max_u64(off >> m->bits, m->first);
	uint64_t end = qc_reference_count_end(m);

	if (range_inside(off, len, m->end))
		end = min_u64(end, div_up(off + len, UINT64_C(1) << m->bits));
	else
		end = 0;
	for (uint64_t c = first; c < end; c++) {
		struct qc_finding *f;

		if (!(m->count[c - m->first] & QC_REF_SEEN))
			continue;
		m->count[c - m->first] &= ~QC_REF_SEEN;
		f = find_by_cluster(x, c);
		f->in_snapshot = where->in_snapshot;
		f->table = where->table;
		f->table_offset = where->table_offset;
		f->index = where->index;
		f->entry = where->entry;
		f->guest_offset = where->guest_offset;
	}
}

static void note_entry(const struct search *x, const struct qc_metadata_item *l2, uint64_t i)
{
	const struct geom *g = x->m->g;
	struct qc_finding where = qc_finding_at_entry(g, l2, i);
	struct l2_entry e;

	if (l2_entry_at(g, l2->bytes, i, &e))
		note_reference(x, where.entry & L2_OFFSET_MASK, geom_cluster(g), &where);
	else if (e.kind == QC_COMPRESSED)
		note_reference(x, e.host.v, e.compressed_len, &where);
	else if (e.host.v && !g->external)
		note_reference(x, e.host.v, geom_cluster(g), &where);
}

static qc_err note_item(void *arg, struct qc_metadata_item *item)
{
	const struct search *x = arg;
	const struct geom *g = x->m->g;
	struct qc_finding where = qc_finding_at_item(g, item);

	if (item->off && item->len)
		note_reference(x, item->off, item->len, &where);
	if (item->kind != QC_METADATA_L2_TABLE || !item->bytes)
		return 0;
	for (uint64_t i = 0; i < UINT64_C(1) << g->l2_bits; i++)
		if (geom_is_extended(g) || be64_at(item->bytes + (i << g->entry_bits)))
			note_entry(x, item, i);
	return 0;
}

qc_err qc_reference_search_run(struct qc_reference_search *s, struct qc_reference_count *m,
			       struct qc_findings *out)
{
	struct search x = { s, m };
	qc_err r = 0;

	if (s->is_wanted) {
		for (size_t i = 0; i < s->n; i++)
			m->count[(s->found[i].host_offset >> m->bits) - m->first] |= QC_REF_SEEN;
		r = qc_metadata_for_each(m->md, QC_WALK_READ_L2 | QC_WALK_DAMAGED, note_item, &x);
	}
	for (size_t i = 0; !r && i < s->n; i++)
		qc_findings_add(out, &s->found[i]);
	free(s->found);
	*s = (struct qc_reference_search){ 0 };
	return r;
}
