/* SPDX-License-Identifier: MIT */
#include "check/reference_count.h"

#include <errno.h>
#include <string.h>

#include "format/l2_entry.h"
#include "base/range.h"
#include "format/snapshot_table.h"

qc_err qc_reference_count_open(struct qc_reference_count *m, struct qc_writer *w)
{
	struct qc_file_stat now;
	qc_err r = qc_file_stat(w->file, &now);

	*m = (struct qc_reference_count){ .w = w, .g = &w->layer->head.geom };
	if (r)
		return r;
	m->bits = m->g->layout == LAYOUT_V1 ? 9 : m->g->cluster_bits;
	/* The last cluster of version 1 need not be whole, either. */
	m->n = m->limit = round_up(now.size, geom_cluster(m->g)) >> m->bits;
	m->of = malloc(min_u64(m->n, QC_REF_WINDOW) * sizeof(*m->of) + 1);
	return m->of ? 0 : -ENOMEM;
}

qc_err qc_reference_count_extend(struct qc_reference_count *m, uint64_t n)
{
	uint32_t *of = realloc(m->of, min_u64(n, QC_REF_WINDOW) * sizeof(*of) + 1);

	if (!of)
		return -ENOMEM;
	m->of = of;
	m->n = m->limit = n;
	return 0;
}

void qc_reference_count_close(struct qc_reference_count *m)
{
	free(m->of);
}

uint64_t qc_reference_count_end(const struct qc_reference_count *m)
{
	return min_u64(m->n, m->first + QC_REF_WINDOW);
}

/* ---- names ---------------------------------------------------------------- */

static qc_err damage(const struct qc_reference_count *m)
{
	return m->tolerant ? 0 : -EIO;
}

/* What cannot be true of a sound image, whatever the counts are. */
static qc_err impossible(struct qc_reference_count *m)
{
	m->impossible = true;
	return damage(m);
}

static qc_err mark(struct qc_reference_count *m, uint64_t off, uint64_t len, uint32_t by)
{
	uint64_t first = max_u64(off >> m->bits, m->first);
	uint64_t end = min_u64(div_up(off + len, UINT64_C(1) << m->bits), qc_reference_count_end(m));

	if (!range_inside(off, len, m->limit << m->bits))
		return impossible(m);
	for (uint64_t c = first; c < end; c++) {
		uint32_t *of = &m->of[c - m->first];

		if ((*of & QC_REF_COUNT_MAX) < QC_REF_COUNT_MAX)
			++*of;
		*of |= by;
	}
	return 0;
}

/* Version 1 writes all but packed clusters where they are. */
static uint32_t in_place(const struct qc_reference_count *m, uint64_t word)
{
	bool copied = m->g->layout == LAYOUT_V1 || word & L2_COPIED;

	return copied && !m->distrust && !m->shared ? QC_REF_WRITABLE : 0;
}

static qc_err mark_entry(struct qc_reference_count *m, const uint8_t *p)
{
	uint64_t word = be64_at(p);
	struct l2_entry e;

	if (l2_entry_decode(m->g, word, m->g->entry_bits == 4 ? be64_at(p + 8) : 0, &e))
		return damage(m);
	if (e.kind == QC_COMPRESSED) /* its last sector may not be in the file */
		return mark(m, e.host.v, range_clamp(e.host.v, e.compressed_len, m->n << m->bits),
			    QC_REF_GUEST_DATA);
	if (e.host.v && !m->g->external)
		return mark(m, e.host.v, geom_cluster(m->g),
			    QC_REF_GUEST_DATA | in_place(m, word));
	return 0;
}

static qc_err mark_l2(struct qc_reference_count *m, uint64_t offset, uint64_t word, uint8_t *table)
{
	qc_err r = mark(m, offset, geom_l2_bytes(m->g), QC_REF_METADATA | in_place(m, word));

	for (uint64_t i = 0; !r && i < geom_l2_bytes(m->g); i += UINT64_C(1) << m->g->entry_bits)
		r = mark_entry(m, table + i);
	return r;
}

/* No more tables than the file has room for: so many names of one would take forever. */
static bool has_room(const struct qc_reference_count *m, uint64_t tables)
{
	return tables <= (m->limit << m->bits) / geom_l2_bytes(m->g);
}

qc_err qc_metadata_for_each_l2(struct qc_reference_count *m, uint64_t offset, uint64_t entries, qc_metadata_l2_fn *fn)
{
	AUTO_FREE uint8_t *l1 = malloc(entries * 8 + 1), *l2 = malloc(geom_l2_bytes(m->g));
	uint64_t before = m->tables;
	size_t got;
	qc_err r = l1 && l2 ? qc_file_read(m->w->file, offset, l1, entries * 8, &got) : -ENOMEM;

	for (uint64_t i = 0; !r && i < entries; i++) {
		struct hoff table;

		if (l1_decode(m->g, be64_at(l1 + 8 * i), &table)) {
			r = damage(m);
			continue;
		}
		if (!table.v)
			continue;
		m->tables++;
		if (!has_room(m, m->tables - before))
			return impossible(m);
		if (m->read_one)
			r = m->read_one(m);
		if (!r)
			r = qc_file_read(m->w->file, table.v, l2, geom_l2_bytes(m->g), &got);
		if (!r) /* zeros, behind the end of the file */
			r = fn(m, table.v, be64_at(l1 + 8 * i), l2);
	}
	return r;
}

/* The L1 table of the disk is written where it is, that of a snapshot never. */
static qc_err mark_disk(struct qc_reference_count *m, uint64_t l1_offset, uint64_t entries)
{
	uint32_t by = QC_REF_METADATA | (m->shared ? 0 : QC_REF_WRITABLE);
	qc_err r = entries ? mark(m, l1_offset, entries * 8, by) : 0;

	return r ? r : qc_metadata_for_each_l2(m, l1_offset, entries, mark_l2);
}

static bool is_possible(const struct qc_reference_count *m, const struct qc_snapshot *s)
{
	return qc_snapshot_entry_is_valid(s, geom_cluster(m->g), m->n << m->g->cluster_bits);
}

static qc_err read_snapshots(struct qc_reference_count *m, struct qc_snapshot_table *t)
{
	const struct qc_header *h = &m->w->layer->head;

	return qc_snapshot_table_read(m->w->file, h->snapshots_offset, h->snapshots, h->size, t);
}

static qc_err mark_snapshots(struct qc_reference_count *m)
{
	struct qc_snapshot_table t;
	qc_err r = read_snapshots(m, &t);

	if (r == -EIO || r == -EINVAL)
		return damage(m);
	m->shared = true;
	for (uint32_t i = 0; !r && i < t.n; i++) {
		const struct qc_snapshot *s = &t.entry[i].s;

		r = is_possible(m, s) ? mark_disk(m, s->l1_offset, s->l1_entries) : damage(m);
	}
	if (!r && t.n)
		r = mark(m, m->w->layer->head.snapshots_offset, t.bytes, QC_REF_METADATA);
	m->shared = false;
	qc_snapshot_table_free(&t);
	return r;
}

qc_err qc_reference_count_run(struct qc_reference_count *m, uint64_t first)
{
	const struct qc_header *h = &m->w->layer->head;
	const struct qc_refcounts *c = &m->w->alloc.refcounts;
	const uint32_t by = QC_REF_METADATA | QC_REF_WRITABLE;
	qc_err r;

	m->first = first;
	memset(m->of, 0, (qc_reference_count_end(m) - first) * sizeof(*m->of));
	/* The L1 table of version 1 is in the sector of the header, where no data can be. */
	r = mark(m, 0, m->g->layout == LAYOUT_V1 ? 0 : 1, by);
	if (!r)
		r = mark_disk(m, m->g->l1_offset, m->g->l1_entries);
	if (!r)
		r = mark(m, c->table_offset, c->entries * 8, by);
	if (!r && h->luks_bytes)
		r = mark(m, h->luks_offset, h->luks_bytes, by);
	for (uint64_t i = 0; !r && i < c->entries; i++)
		if (c->table[i])
			r = mark(m, c->table[i], geom_cluster(m->g), by);
	return r ? r : mark_snapshots(m);
}

qc_err qc_reference_l2_tables(struct qc_reference_count *m, uint64_t *tables)
{
	struct qc_snapshot_table t;
	qc_err r = read_snapshots(m, &t);

	r = r == -EIO || r == -EINVAL ? damage(m) : r;
	*tables = m->g->l1_entries;
	for (uint32_t i = 0; !r && i < t.n; i++)
		*tables += is_possible(m, &t.entry[i].s) ? t.entry[i].s.l1_entries : 0;
	qc_snapshot_table_free(&t);
	return r;
}
