/* SPDX-License-Identifier: MIT */
#include "check/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/byteorder.h"
#include "layer/context.h"
#include "check/reference_count.h"
#include "base/range.h"
#include "update/abort.h"
#include "update/autoclear.h"
#include "update/checkpoint.h"

struct repair {
	struct qc_reference_count references; /* first: the callback gets it */
	struct qc_writer *w;
	uint64_t next;	       /* cluster behind the end of the file that is free */
	uint64_t corrected;    /* counts */
	uint64_t foreseen;     /* L2 tables */
	unsigned int percent;  /* that was told */
};

static void tell(struct repair *p, unsigned int percent)
{
	const struct qc_layer *l = p->w->layer;

	if (percent <= p->percent)
		return;
	p->percent = percent;
	if (l->ctx->progress)
		l->ctx->progress(l->ctx->log.arg, l->path, QC_WORK_REPAIR, percent);
}

/* Most of the time goes by with L2 tables. */
static qc_err read_one(struct qc_reference_count *m)
{
	struct repair *p = (struct repair *)m;

	tell(p, m->l2_tables < p->foreseen ? (unsigned int)(m->l2_tables * 100 / p->foreseen) : 99);
	return 0;
}

/* ---- correcting ----------------------------------------------------------- */

/* A block for the area of the cluster, behind the end of the file. */
static qc_err add_block(struct repair *p, uint64_t c)
{
	struct qc_refcounts *counts = &p->w->alloc.refcounts;
	uint64_t taken;
	qc_err r;

	do { /* where the block will be must be counted, too */
		r = qc_refcounts_ensure_block(counts, p->next, &taken);
		p->next += taken;
	} while (!r && taken);
	if (r || qc_refcounts_has_block(counts, c))
		return r;
	r = qc_refcounts_add_block(counts, c, p->next);
	return r ? r : qc_refcounts_add(counts, p->next++, 1);
}

/* Metadata that is data, too, or other metadata: to write one would damage the other. */
static qc_err must_not_clash(const struct qc_reference_count *m)
{
	for (uint64_t c = m->first; c < qc_reference_count_end(m); c++)
		if (qc_reference_conflict(m, c))
			return -EIO;
	return 0;
}

static qc_err correct_window(struct repair *p)
{
	const struct qc_reference_count *m = &p->references;
	struct qc_refcounts *counts = &p->w->alloc.refcounts;
	qc_err r = 0;

	for (uint64_t c = m->first; !r && c < qc_reference_count_end(m); c++) {
		uint64_t names = qc_reference_count_of(m, c), now = 0;

		if (!qc_refcounts_has_block(counts, c)) {
			r = names ? add_block(p, c) : 0;
			if (r || !names)
				continue;
		}
		r = qc_refcounts_get(counts, c, &now);
		/* So many are not told apart; those there were will do. */
		if (r || now == names || (names == QC_REF_COUNT_MAX && now > names))
			continue;
		r = qc_refcounts_set(counts, c, names);
		p->corrected++;
	}
	return r;
}

/* Nothing is written before all is known. */
static qc_err look_for_clashes(struct repair *p)
{
	qc_err r = 0;

	for (uint64_t first = 0; !r && first < p->references.n; first += QC_REF_WINDOW) {
		r = qc_reference_count_run(&p->references, first);
		if (!r)
			r = must_not_clash(&p->references);
	}
	return r;
}

static qc_err correct_counts(struct repair *p)
{
	struct qc_alloc *a = &p->w->alloc;
	qc_err r = p->references.n > QC_REF_WINDOW ? look_for_clashes(p) : 0;

	for (uint64_t first = 0; !r && first < p->references.n; first += QC_REF_WINDOW) {
		p->references.limit = p->next;
		r = qc_reference_count_run(&p->references, first);
		if (!r)
			r = must_not_clash(&p->references);
		qc_lock(&a->lock);
		if (!r)
			r = correct_window(p);
		qc_unlock(&a->lock);
	}
	return r;
}

/* Writes the table back if a flag of it was wrong. */
static qc_err correct_l2(void *arg, struct qc_metadata_item *item)
{
	struct qc_writer *w = arg;
	uint64_t changed = 0;
	qc_err r;

	if (item->invalid)
		return -EIO;
	qc_metadata_lock(&w->metadata);
	r = qc_metadata_fix_copied(&w->metadata, item->bytes, 0,
				   UINT64_C(1) << w->layer->head.geom.l2_bits, true, &changed);
	qc_metadata_unlock(&w->metadata);
	if (r || !changed)
		return r;
	r = qc_file_write(w->file, item->off, item->bytes, item->len);
	/* It may be in the cache since before. */
	qc_cache_invalidate(w->layer->tables, item->off, item->len);
	return r;
}

static qc_err correct_l1(struct qc_writer *w, uint8_t *l1)
{
	const struct geom *g = &w->layer->head.geom;
	uint64_t bytes = g->l1_entries * UINT64_C(8), count;
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < bytes; i += 8) {
		struct hoff table;

		if (l1_decode(g, be64_at(l1 + i), &table) || !table.v)
			continue;
		r = qc_alloc_refcount(&w->alloc, table.v >> g->cluster_bits, &count);
		be64_to(l1 + i, l1_encode(g, table, count == 1));
	}
	if (!r)
		r = qc_file_write(w->file, g->l1_offset, l1, bytes);
	qc_cache_invalidate(w->layer->tables, g->l1_offset, bytes);
	return r;
}

static qc_err correct_copied(struct qc_writer *w)
{
	struct qc_l1_table root = qc_l1_active(w->layer);
	AUTO_FREE uint8_t *l1 = NULL;
	qc_err r = qc_metadata_read_l1(&w->metadata, &l1);

	if (!r)
		r = qc_metadata_for_each_l2(&w->metadata, &root, l1, QC_WALK_READ_L2, correct_l2, w);
	return r ? r : correct_l1(w, l1);
}

static qc_err correct(struct repair *p)
{
	qc_err r = correct_counts(p);

	if (!r)
		r = qc_checkpoint(p->w, false);
	if (!r)
		r = correct_copied(p->w);
	return r ? r : qc_writer_sync(p->w);
}

static qc_err repair(struct qc_writer *w, uint64_t *corrected)
{
	struct repair p = { .w = w };
	/* Bitmaps are not counted: first they must not be valid any more. */
	qc_err r = qc_autoclear_clear(w);

	if (!r)
		r = qc_reference_count_open(&p.references, &w->metadata);
	if (!r)
		r = qc_reference_l2_tables(&p.references, &p.foreseen);
	if (!r) {
		p.foreseen *= 1 + (p.references.n > QC_REF_WINDOW ? 2 : 1) *
				  div_up(p.references.n, QC_REF_WINDOW);
		p.references.on_l2_table = read_one;
		p.references.ignore_copied = true;
		p.next = p.references.n;
		r = correct(&p);
	}
	qc_reference_count_close(&p.references);
	if (!r && w->layer->head.incompatible & INCOMPAT_DIRTY)
		r = qc_writer_set_incompatible(w, w->layer->head.incompatible & ~(uint64_t)INCOMPAT_DIRTY);
	w->alloc.never_written = max_u64(w->alloc.never_written, p.next);
	*corrected = p.corrected;
	tell(&p, 100);
	return r;
}

qc_err qc_repair_refcounts(struct qc_writer *w, const char *what, struct qc_reason *why)
{
	const struct qc_log *log = &w->layer->ctx->log;
	struct timespec began, now;
	uint64_t corrected = 0;
	qc_err r;

	qc_log(log, QC_LOG_WARN, "%s: %s: its refcounts are made anew", w->layer->path,
	       what);
	clock_gettime(CLOCK_MONOTONIC, &began);
	r = repair(w, &corrected);
	if (r)
		return qc_fail(why, r, "%s, and cannot be repaired: %s "
				 "(qemu-img check -r all may)", what, strerror(-r));
	clock_gettime(CLOCK_MONOTONIC, &now);
	qc_log(log, QC_LOG_WARN, "%s: %" PRIu64 " refcounts repaired in %.1f s", w->layer->path,
	       corrected, (double)(now.tv_sec - began.tv_sec) +
				  (double)(now.tv_nsec - began.tv_nsec) / 1e9);
	return 0;
}
