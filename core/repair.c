/* SPDX-License-Identifier: MIT */
#include "repair.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "be.h"
#include "context.h"
#include "entry.h"
#include "range.h"
#include "snaptable.h"

struct names {
	struct qc_writer *w;
	const struct geom *g;
	uint64_t n;	/* clusters of the file */
	uint32_t *of;	/* how often each is named */
	uint64_t corrected; /* counts */
	uint64_t entries_done;
	unsigned int percent; /* that was told */
};

/* Most of the time goes by with L2 tables, which are read twice; those of snapshots
 * come in between, and are not foreseen. */
static void tell(struct names *m, unsigned int percent)
{
	const struct qc_context *ctx = m->w->layer->ctx;

	if (percent <= m->percent)
		return;
	m->percent = percent;
	if (ctx->progress)
		ctx->progress(ctx->log.arg, m->w->layer->path, percent);
}

static void entry_done(struct names *m)
{
	uint64_t all = 2 * (uint64_t)m->g->l1_entries;

	m->entries_done++;
	tell(m, m->entries_done < all ? (unsigned int)(m->entries_done * 100 / all) : 99);
}

/* ---- counting names ------------------------------------------------------- */

static qc_err mark(struct names *m, uint64_t off, uint64_t len)
{
	uint64_t first = off >> m->g->cluster_bits;
	uint64_t end = div_up(off + len, geom_cluster(m->g));

	if (!range_inside(off, len, m->n << m->g->cluster_bits))
		return -EIO;
	for (uint64_t c = first; c < end; c++)
		m->of[c]++;
	return 0;
}

static qc_err mark_entry(struct names *m, const uint8_t *p)
{
	struct entry e;
	qc_err r = entry_decode(m->g, be64_at(p), m->g->entry_bits == 4 ? be64_at(p + 8) : 0, &e);

	if (r)
		return r;
	if (e.kind == QC_PACKED) /* its last sector may not be in the file */
		return mark(m, e.host.v,
			    range_clamp(e.host.v, e.packed_len, m->n << m->g->cluster_bits));
	if (e.host.v && !m->g->external)
		return mark(m, e.host.v, geom_cluster(m->g));
	return 0;
}

typedef qc_err l2_fn(struct names *m, uint64_t offset, uint8_t *table);

static qc_err mark_l2(struct names *m, uint64_t offset, uint8_t *table)
{
	qc_err r = mark(m, offset, geom_l2_bytes(m->g));

	for (uint64_t i = 0; !r && i < geom_l2_bytes(m->g); i += UINT64_C(1) << m->g->entry_bits)
		r = mark_entry(m, table + i);
	return r;
}

/* Reads an L1 table and gives each of its L2 tables to fn. */
static qc_err each_l2(struct names *m, uint64_t offset, uint64_t entries, l2_fn *fn)
{
	AUTO_FREE uint8_t *l1 = malloc(entries * 8 + 1), *l2 = malloc(geom_l2_bytes(m->g));
	size_t got;
	qc_err r = l1 && l2 ? qc_file_read(m->w->file, offset, l1, entries * 8, &got) : -ENOMEM;

	for (uint64_t i = 0; !r && i < entries; i++) {
		struct hoff table;

		entry_done(m);
		r = l1_decode(m->g, be64_at(l1 + 8 * i), &table);
		if (r || !table.v)
			continue;
		r = qc_file_read(m->w->file, table.v, l2, geom_l2_bytes(m->g), &got);
		if (!r)
			r = fn(m, table.v, l2);
	}
	return r;
}

static qc_err mark_disk(struct names *m, uint64_t l1_offset, uint64_t entries)
{
	qc_err r = entries ? mark(m, l1_offset, entries * 8) : 0;

	return r ? r : each_l2(m, l1_offset, entries, mark_l2);
}

static qc_err mark_snapshots(struct names *m)
{
	const struct qc_header *h = &m->w->layer->head;
	struct qc_snaptable t;
	qc_err r = qc_snaptable_read(m->w->file, h->snapshots_offset, h->snapshots, h->size, &t);

	if (r)
		return r;
	for (uint32_t i = 0; !r && i < t.n; i++) {
		const struct qc_snapshot *s = &t.row[i].s;

		if (s->l1_entries > L1_ENTRIES_MAX || s->place & (geom_cluster(m->g) - 1))
			r = -EIO;
		else
			r = mark_disk(m, s->place, s->l1_entries);
	}
	if (!r && t.n)
		r = mark(m, h->snapshots_offset, t.bytes);
	qc_snaptable_free(&t);
	return r;
}

static qc_err mark_all(struct names *m)
{
	const struct qc_counts *c = &m->w->alloc.counts;
	qc_err r = mark(m, 0, 1);

	if (!r)
		r = mark_disk(m, m->g->l1_offset, m->g->l1_entries);
	if (!r)
		r = mark(m, c->table_offset, c->entries * 8);
	for (uint64_t i = 0; !r && i < c->entries; i++)
		if (c->table[i])
			r = mark(m, c->table[i], geom_cluster(m->g));
	return r ? r : mark_snapshots(m);
}

/* ---- correcting ----------------------------------------------------------- */

/* Blocks for areas that have none, behind the end of the file. */
static qc_err add_blocks(struct names *m)
{
	struct qc_counts *counts = &m->w->alloc.counts;
	uint64_t next = m->n, taken;
	qc_err r = 0;

	for (uint64_t c = 0; !r && c < m->n; c++) {
		if (!m->of[c] || qc_counts_covers(counts, c))
			continue;
		do { /* where the block will be must be counted, too */
			r = qc_counts_cover(counts, next, &taken);
			next += taken;
		} while (!r && taken);
		if (r || qc_counts_covers(counts, c))
			continue;
		r = qc_counts_place(counts, c, next);
		if (!r)
			r = qc_counts_add(counts, next++, 1);
	}
	return r;
}

static qc_err correct_counts(struct names *m)
{
	struct qc_counts *counts = &m->w->alloc.counts;
	qc_err r = add_blocks(m);

	for (uint64_t c = 0; !r && c < m->n; c++) {
		uint64_t now;

		r = qc_counts_get(counts, c, &now);
		if (r || now == m->of[c])
			continue;
		r = qc_counts_set(counts, c, m->of[c]);
		m->corrected++;
	}
	return r;
}

/* Writes the table back if a flag of it was wrong. */
static qc_err correct_l2(struct names *m, uint64_t offset, uint8_t *table)
{
	bool changed = false;
	qc_err r;

	for (uint64_t i = 0; i < geom_l2_bytes(m->g); i += UINT64_C(1) << m->g->entry_bits) {
		uint64_t word = be64_at(table + i), want;

		if (word & L2_COMPRESSED || !(word & L2_OFFSET_MASK) || m->g->external)
			continue;
		want = m->of[(word & L2_OFFSET_MASK) >> m->g->cluster_bits] == 1 ?
			       word | L2_COPIED :
			       word & ~L2_COPIED;
		changed = changed || want != word;
		be64_to(table + i, want);
	}
	if (!changed)
		return 0;
	r = qc_file_write(m->w->file, offset, table, geom_l2_bytes(m->g));
	/* Somebody may have read it before. */
	qc_cache_forget(m->w->layer->tables, offset, geom_l2_bytes(m->g));
	return r;
}

static qc_err correct_l1(struct names *m)
{
	uint64_t bytes = (uint64_t)m->g->l1_entries * 8;
	AUTO_FREE uint8_t *l1 = malloc(bytes + 1);
	size_t got;
	qc_err r = l1 ? qc_file_read(m->w->file, m->g->l1_offset, l1, bytes, &got) : -ENOMEM;

	for (uint64_t i = 0; !r && i < bytes; i += 8) {
		uint64_t word = be64_at(l1 + i), off = word & L1_OFFSET_MASK;

		if (off)
			be64_to(l1 + i, m->of[off >> m->g->cluster_bits] == 1 ? word | L2_COPIED :
										word & ~L2_COPIED);
	}
	if (!r)
		r = qc_file_write(m->w->file, m->g->l1_offset, l1, bytes);
	qc_cache_forget(m->w->layer->tables, m->g->l1_offset, bytes);
	return r;
}

static qc_err correct(struct names *m)
{
	struct qc_writer *w = m->w;
	qc_err r;

	qc_lock(&w->alloc.lock);
	r = correct_counts(m);
	qc_unlock(&w->alloc.lock);
	if (!r)
		r = qc_checkpoint(w, false);
	if (!r)
		r = each_l2(m, m->g->l1_offset, m->g->l1_entries, correct_l2);
	if (!r)
		r = correct_l1(m);
	if (!r)
		r = qc_writer_barrier(w);
	return r;
}

static qc_err repair(struct qc_writer *w, uint64_t *corrected)
{
	struct names m = { .w = w, .g = &w->layer->head.geom };
	struct qc_file_facts now;
	qc_err r = qc_file_facts(w->file, &now);

	if (r)
		return r;
	/* Bitmaps are not counted: first they must not be valid any more. */
	r = qc_writer_clear_autoclear(w);
	if (r)
		return r;
	m.n = div_up(now.size, geom_cluster(m.g));
	m.of = calloc(m.n, sizeof(*m.of));
	if (!m.of)
		return -ENOMEM;
	r = mark_all(&m);
	if (!r)
		r = correct(&m);
	free(m.of);
	if (!r)
		r = qc_writer_incompatible(w, w->layer->head.incompatible & ~(uint64_t)INCOMPAT_DIRTY);
	w->alloc.virgin = max_u64(w->alloc.virgin, m.n);
	*corrected = m.corrected;
	tell(&m, 100);
	return r;
}

qc_err qc_repair(struct qc_writer *w, struct qc_reason *why)
{
	const struct qc_log *log = &w->layer->ctx->log;
	struct timespec began, now;
	uint64_t corrected = 0;
	qc_err r;

	qc_log(log, QC_LOG_WARN, "%s: it was not closed in order: its refcounts are made anew",
	       w->layer->path);
	clock_gettime(CLOCK_MONOTONIC, &began);
	r = repair(w, &corrected);
	if (r)
		return qc_refuse(why, r, "it is dirty, and cannot be repaired: %s "
				 "(qemu-img check -r all may)", strerror(-r));
	clock_gettime(CLOCK_MONOTONIC, &now);
	qc_log(log, QC_LOG_WARN, "%s: %" PRIu64 " refcounts repaired in %.1f s", w->layer->path,
	       corrected, (double)(now.tv_sec - began.tv_sec) +
				  (double)(now.tv_nsec - began.tv_nsec) / 1e9);
	return 0;
}
