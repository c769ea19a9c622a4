/* SPDX-License-Identifier: MIT */
#include "rescue/mend_l1.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "rescue/l2_origin.h"
#include "rescue/table_test.h"

/* In the mended table, an entry that cannot be read: it is damaged, and not empty. */
#define L1_IMPOSSIBLE UINT64_C(1)

/* The tables that an entry may get. */
struct entry_tables {
	uint64_t table;
	uint32_t n;
};

struct l1_mending {
	struct qc_salvage *file;
	const struct qc_header *head;
	const struct geom *g;
	const struct qc_verdicts *v;
	struct qc_metadata md;
	struct qc_refcounts counts;
	uint64_t file_bytes;
	uint8_t *l1, *is_lost, *l2;
	struct qc_sector_marks unread;
	struct entry_tables *found; /* for each entry that the disk needs */
	uint32_t n;		    /* entries that the disk needs */
	struct qc_l2_origins origins;
	struct qc_mended_l1 *out;
};

/* ---- the table in the file ----------------------------------------------------- */

/* Returns true if an entry references something that is no L2 table. */
static bool is_wrong_table(struct l1_mending *m, uint64_t table)
{
	size_t got;

	if (table >= m->file_bytes)
		return true;
	if (qc_verdicts_find(m->v, table, geom_l2_bytes(m->g)) == QC_VERDICT_SOUND)
		return false;
	return !qc_file_read(&m->file->front.file, table, m->l2, geom_l2_bytes(m->g), &got) &&
	       !qc_table_test_any_l2(m->g, m->file_bytes, m->l2);
}

static bool is_entry_lost(struct l1_mending *m, uint32_t i)
{
	uint64_t word = be64_at(m->l1 + 8 * (size_t)i);
	struct hoff table;

	if (qc_sector_is_marked(&m->unread, 8 * (uint64_t)i))
		return true;
	m->out->is_emptied = m->out->is_emptied && !word;
	return l1_decode(m->g, word, &table) || !table.v || is_wrong_table(m, table.v);
}

/* Returns how many entries are lost, or were never there. */
static uint32_t mark_lost_entries(struct l1_mending *m)
{
	uint32_t lost = 0;

	m->out->is_emptied = true;
	for (uint32_t i = 0; i < m->n; i++) {
		m->is_lost[i] = is_entry_lost(m, i);
		lost += m->is_lost[i];
	}
	return lost;
}

static qc_err read_damaged_l1(struct l1_mending *m)
{
	uint64_t bytes = m->g->l1_entries * UINT64_C(8);
	struct qc_file_stat now;
	qc_err r = qc_file_stat(&m->file->front.file, &now);

	if (r)
		return r;
	m->file_bytes = now.size;
	m->n = (uint32_t)min_u64(m->g->l1_entries, geom_l1_need(m->g, m->head->size));
	m->l1 = malloc(bytes + 1);
	m->l2 = malloc(geom_l2_bytes(m->g));
	m->is_lost = calloc(m->n + 1, 1);
	m->found = calloc(m->n + 1, sizeof(*m->found));
	if (!m->l1 || !m->l2 || !m->is_lost || !m->found)
		return -ENOMEM;
	return qc_salvage_read(m->file, m->g->l1_offset, m->l1, bytes, &m->unread);
}

/* ---- the tables ------------------------------------------------------------------ */

static void offer_table(struct l1_mending *m, uint32_t index, uint64_t table)
{
	if (index >= m->n || !m->is_lost[index])
		return;
	m->found[index].table = table;
	m->found[index].n++;
}

/* Offers a table that snapshots reference, if it has a higher refcount than it has references. */
static void offer_shared(struct l1_mending *m, size_t first, size_t end)
{
	const struct qc_l1_reference *ref = m->origins.ref;
	uint32_t index = UINT32_MAX;
	uint64_t count;

	for (size_t i = first; i < end; i++) {
		if (!ref[i].in_snapshot || (index != UINT32_MAX && ref[i].index != index))
			return;
		index = ref[i].index;
	}
	if (!qc_refcounts_get(&m->counts, ref[first].table >> m->g->cluster_bits, &count) &&
	    count > end - first)
		offer_table(m, index, ref[first].table);
}

static void offer_tables(struct l1_mending *m)
{
	const struct qc_l2_origins *o = &m->origins;

	for (size_t i = 0, end; i < o->refs; i = end) {
		for (end = i + 1; end < o->refs && o->ref[end].table == o->ref[i].table; end++)
			;
		offer_shared(m, i, end);
	}
	for (size_t i = 0; i < o->n; i++)
		if (!o->table[i].disputed && o->table[i].index != UINT32_MAX)
			offer_table(m, o->table[i].index, o->table[i].off);
}

/* ---- the result ------------------------------------------------------------------- */

static void mend_entry(struct l1_mending *m, uint32_t i)
{
	uint64_t count = 0;
	struct hoff table = { m->found[i].table };

	if (m->is_lost[i] && m->found[i].n == 1) {
		(void)qc_refcounts_get(&m->counts, table.v >> m->g->cluster_bits, &count);
		be64_to(m->l1 + 8 * (size_t)i, l1_encode(m->g, table, count == 1));
		m->out->is_mended[i] = 1;
		m->out->mended++;
		return;
	}
	m->out->undecided += m->found[i].n > 1;
	if (qc_sector_is_marked(&m->unread, 8 * (uint64_t)i))
		be64_to(m->l1 + 8 * (size_t)i, L1_IMPOSSIBLE);
}

static bool got_entry(const struct l1_mending *m, const struct qc_l2_origin *o)
{
	return o->index < m->n && m->out->is_mended[o->index] &&
	       m->found[o->index].table == o->off;
}

/* Appends the tables that got an entry, or all others. */
static void list_l2_origins(struct l1_mending *m, bool got)
{
	for (size_t i = 0; i < m->origins.n; i++)
		if (got_entry(m, &m->origins.table[i]) == got)
			m->out->table[m->out->tables++] = m->origins.table[i].off;
}

static qc_err make_mended(struct l1_mending *m)
{
	struct qc_mended_l1 *out = m->out;

	out->n = m->n;
	out->is_mended = calloc(m->n + 1, 1);
	out->table = calloc(m->origins.n + 1, sizeof(*out->table));
	if (!out->is_mended || !out->table)
		return -ENOMEM;
	if (m->md.refcounts)
		offer_tables(m);
	for (uint32_t i = 0; i < m->n; i++)
		mend_entry(m, i);
	list_l2_origins(m, false);
	out->pieces = out->tables;
	list_l2_origins(m, true);
	if (out->mended) {
		out->patch = (struct qc_file_patch){ m->g->l1_offset, m->g->l1_entries * (size_t)8,
						     m->l1 };
		m->l1 = NULL;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------ */

static void ignore_lost_block(void *arg, uint64_t index, uint64_t entry)
{
	(void)arg, (void)index, (void)entry;
}

/* A qc_is_referenced_fn. */
static bool has_verdict(const void *v, uint64_t cluster)
{
	return qc_verdicts_is_referenced(v, cluster);
}

static qc_err search_l2_tables(struct l1_mending *m, struct qc_budget *budget)
{
	struct qc_lost_tables lost = { 0 };
	struct qc_reason ignored;
	bool opened = m->head->version > 1;
	qc_err r = 0;

	if (opened) {
		r = qc_refcounts_open_damaged(&m->counts, m->md.file, m->head, budget, ignore_lost_block,
					      NULL, &ignored);
		m->md.refcounts = r || m->v->proof == QC_PROOF_NONE ? NULL : &m->counts;
	}
	if (r != -ENOMEM)
		r = qc_lost_tables_find(m->md.file, m->head, m->md.refcounts, has_verdict, m->v, &lost);
	if (!r)
		r = qc_l2_origin_find(&m->md, &lost, m->is_lost, m->n, &m->origins);
	if (!r)
		r = make_mended(m);
	qc_lost_tables_free(&lost);
	qc_l2_origin_free(&m->origins);
	if (opened)
		qc_refcounts_close(&m->counts);
	return r;
}

qc_err qc_mend_l1_find(struct qc_salvage *file, const struct qc_header *h,
		       const struct qc_verdicts *v, struct qc_budget *budget,
		       struct qc_mended_l1 *out)
{
	struct l1_mending m = { .file = file, .head = h, .g = &h->geom, .v = v, .out = out,
				.md = { .file = &file->front.file, .head = h } };
	qc_err r = 0;

	*out = (struct qc_mended_l1){ 0 };
	if (!h->geom.l1_entries || (!v->missing && (v->proof != QC_PROOF_NONE || v->explained)))
		return 0;
	r = read_damaged_l1(&m);
	if (!r && mark_lost_entries(&m))
		r = search_l2_tables(&m, budget);
	free(m.l1);
	free(m.l2);
	free(m.is_lost);
	free(m.found);
	free(m.unread.bits);
	if (r)
		qc_mend_l1_free(out);
	return r;
}

qc_err qc_mend_l1_plan(struct qc_salvage *file, const struct qc_header *h, const uint64_t *words,
		       struct qc_mended_l1 *out)
{
	size_t n = h->geom.l1_entries, got;
	uint8_t *bytes = malloc(8 * n + 1);
	AUTO_FREE uint8_t *now = malloc(8 * n + 1);

	*out = (struct qc_mended_l1){ .is_mended = calloc(n + 1, 1), .n = (uint32_t)n };
	out->patch = (struct qc_file_patch){ h->geom.l1_offset, 8 * n, bytes };
	if (!bytes || !now || !out->is_mended || (n && qc_file_read(&file->front.file,
						     h->geom.l1_offset, now, 8 * n, &got))) {
		qc_mend_l1_free(out);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		be64_to(bytes + 8 * i, words[i]);
		out->is_mended[i] = be64_at(now + 8 * i) != words[i];
		out->mended += out->is_mended[i];
	}
	return 0;
}

void qc_mend_l1_free(struct qc_mended_l1 *m)
{
	free((void *)(uintptr_t)m->patch.bytes);
	free(m->is_mended);
	free(m->table);
	*m = (struct qc_mended_l1){ 0 };
}

void qc_mend_l1_withdraw(struct qc_mended_l1 *m)
{
	free((void *)(uintptr_t)m->patch.bytes);
	m->patch = (struct qc_file_patch){ 0 };
	memset(m->is_mended, 0, m->n);
	m->mended = 0;
	m->pieces = m->tables;
	qsort(m->table, m->tables, sizeof(*m->table), compare_u64);
}
