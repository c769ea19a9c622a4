/* SPDX-License-Identifier: MIT */
#include "check/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/byteorder.h"
#include "base/range.h"
#include "check/refcount_rebuild.h"
#include "check/reference_count.h"
#include "check/unshare.h"
#include "layer/context_fields.h"
#include "update/abort.h"
#include "update/autoclear.h"
#include "update/checkpoint.h"

struct repair {
	struct qc_reference_count references; /* first: the callback gets a pointer to it */
	struct qc_writer *w;
	unsigned int flags;
	struct qc_repair_done *done;
	uint64_t next;	   /* first cluster behind the end of the file that is free */
	uint64_t expected; /* L2 tables that will be read */
	uint64_t tables;   /* read by the counts that are closed */
	unsigned int percent; /* reported last */
	bool is_shared;	      /* several active entries reference a cluster */
	bool is_different;    /* a refcount is wrong */
	bool needs_rebuild;   /* the refcount table cannot be used */
};

typedef qc_err window_fn(struct repair *p);

static void report_repair_progress(struct repair *p, unsigned int percent)
{
	const struct qc_layer *l = p->w->layer;

	if (percent <= p->percent)
		return;
	p->percent = percent;
	if (l->ctx->progress)
		l->ctx->progress(l->ctx->log.arg, l->path, QC_WORK_REPAIR, percent);
}

/* Most of the time is spent on L2 tables. */
static qc_err report_l2_table(struct qc_reference_count *m)
{
	struct repair *p = (struct repair *)m;
	uint64_t n = p->tables + m->l2_tables;

	report_repair_progress(p, n < p->expected ? (unsigned int)(n * 100 / p->expected) : 99);
	return qc_context_interrupted(p->w->layer->ctx);
}

/* ---- windows ---------------------------------------------------------------- */

static bool has_many_windows(const struct repair *p)
{
	return p->references.n > QC_REF_WINDOW;
}

/* Counts each window and calls fn.  The count of a small file is made once.  The file may have
 * grown since the count was opened, by clusters that need no repair. */
static qc_err for_each_window(struct repair *p, bool is_counted, window_fn *fn)
{
	struct qc_reference_count *m = &p->references;
	uint64_t used = max_u64(p->next, p->w->alloc.never_written);
	qc_err r = 0;

	m->end = max_u64(m->end, used << m->bits);
	for (uint64_t first = 0; !r && first < m->n; first += QC_REF_WINDOW) {
		if (!is_counted || has_many_windows(p))
			r = qc_reference_count_run(m, first);
		if (!r)
			r = fn(p);
	}
	return r;
}

static qc_err open_count(struct repair *p)
{
	struct qc_reference_count *m = &p->references;
	qc_err r = qc_reference_count_open(m, &p->w->metadata);

	m->ignore_copied = true;
	m->ignore_damage = m->keep_damaged = p->flags & QC_REPAIR_KEEP_DAMAGE;
	m->needs_all = true;
	m->on_l2_table = report_l2_table;
	if (!r && p->next > m->n) /* refcount blocks beyond the end of the file */
		r = qc_reference_count_extend(m, p->next);
	p->next = max_u64(p->next, m->n);
	return r;
}

static qc_err reopen_count(struct repair *p)
{
	p->tables += p->references.l2_tables;
	qc_reference_count_close(&p->references);
	return open_count(p);
}

/* ---- before the first write -------------------------------------------------- */

/* Only a check that the user has asked for throws away the refcount table. */
static bool may_rebuild(const struct repair *p)
{
	return p->flags & QC_REPAIR_KEEP_DAMAGE && !(p->flags & QC_REPAIR_LEAKS);
}

/* A write to a table would change guest data, or another table. */
static qc_err check_window(struct repair *p)
{
	const struct qc_reference_count *m = &p->references;
	struct qc_refcounts *c = p->w->metadata.refcounts;
	qc_err r = 0;

	qc_metadata_lock(&p->w->metadata);
	for (uint64_t k = m->first; !r && k < qc_reference_count_end(m); k++) {
		uint64_t references = qc_reference_count_of(m, k), refcount;

		p->is_shared = p->is_shared || qc_reference_is_shared(m, k);
		r = qc_refcounts_get(c, k, &refcount);
		p->is_different = p->is_different || refcount != references;
		if (references > qc_refcount_max(c->order))
			r = -EOVERFLOW;
		if (may_rebuild(p) && qc_reference_shares_refcounts(m, k))
			p->needs_rebuild = true;
		else if (qc_reference_conflict(m, k))
			r = -EIO;
	}
	qc_metadata_unlock(&p->w->metadata);
	return r;
}

static qc_err check_possible(struct repair *p)
{
	const struct qc_refcounts *c = p->w->metadata.refcounts;

	if (p->next >> qc_refcounts_block_bits(c) >= REFTABLE_BYTES_MAX / 8)
		return -EFBIG;
	p->needs_rebuild = c->is_damaged;
	return for_each_window(p, false, check_window);
}

/* Makes a new refcount table, and checks again. */
static qc_err rebuild_refcounts(struct repair *p)
{
	qc_err r;

	p->tables += p->references.l2_tables;
	qc_reference_count_close(&p->references); /* two would take twice the memory */
	r = qc_refcount_rebuild(p->w, p->flags & QC_REPAIR_KEEP_DAMAGE, &p->tables,
				&p->done->has_written);
	p->done->refcounts += !r;
	if (!r)
		r = open_count(p);
	else
		p->references = (struct qc_reference_count){ 0 };
	return r ? r : check_possible(p);
}

/* ---- refcounts ---------------------------------------------------------------- */

/* Allocates a refcount block for cluster @c beyond the end of the file. */
static qc_err add_refcount_block(struct repair *p, uint64_t c)
{
	struct qc_refcounts *refcounts = p->w->metadata.refcounts;
	uint64_t taken;
	qc_err r;

	do { /* the cluster of the block needs a refcount, too */
		r = qc_refcounts_ensure_block(refcounts, p->next, &taken);
		p->next += taken;
	} while (!r && taken);
	if (r || qc_refcounts_has_block(refcounts, c))
		return r;
	r = qc_refcounts_add_block(refcounts, c, p->next);
	return r ? r : qc_refcounts_add(refcounts, p->next++, 1);
}

static qc_err correct_refcount(struct repair *p, uint64_t c, bool raise)
{
	struct qc_refcounts *refcounts = p->w->metadata.refcounts;
	uint64_t references = qc_reference_count_of(&p->references, c), now = 0;
	qc_err r = 0;

	if (!qc_refcounts_has_block(refcounts, c)) {
		if (!references || !raise)
			return 0;
		r = add_refcount_block(p, c);
	}
	if (!r)
		r = qc_refcounts_get(refcounts, c, &now);
	if (r || (raise ? now >= references : now <= references))
		return r;
	if (references == QC_REF_COUNT_MAX) /* there may be more */
		return 0;
	p->done->refcounts++;
	return qc_refcounts_set(refcounts, c, references);
}

static qc_err correct_window(struct repair *p, bool raise)
{
	const struct qc_reference_count *m = &p->references;
	qc_err r = 0;

	qc_metadata_lock(&p->w->metadata);
	for (uint64_t c = m->first; !r && c < qc_reference_count_end(m); c++)
		r = correct_refcount(p, c, raise);
	qc_metadata_unlock(&p->w->metadata);
	return r;
}

static qc_err raise_window(struct repair *p)
{
	return correct_window(p, true);
}

static qc_err lower_window(struct repair *p)
{
	return correct_window(p, false);
}

/* ---- COPIED -------------------------------------------------------------------- */

static qc_err correct_l2_table(void *arg, struct qc_metadata_item *item)
{
	struct repair *p = arg;
	const struct qc_metadata *md = &p->w->metadata;
	uint64_t changed = 0;
	qc_err r;

	if (item->invalid)
		return p->flags & QC_REPAIR_KEEP_DAMAGE ? 0 : -EIO;
	qc_metadata_lock(md);
	r = qc_metadata_fix_copied(md, item->bytes, 0, UINT64_C(1) << md->head->geom.l2_bits, true,
				   &changed);
	qc_metadata_unlock(md);
	if (r || !changed)
		return r;
	r = qc_file_write(p->w->file, item->off, item->bytes, item->len);
	qc_cache_invalidate(p->w->layer->tables, item->off, item->len);
	return r;
}

static qc_err correct_l1_table(struct repair *p, uint8_t *l1)
{
	const struct geom *g = p->references.g;
	uint64_t bytes = g->l1_entries * UINT64_C(8), refcount;
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < bytes; i += 8) {
		struct hoff table;

		if (l1_decode(g, be64_at(l1 + i), &table) || !table.v)
			continue;
		r = qc_alloc_refcount(&p->w->alloc, table.v >> g->cluster_bits, &refcount);
		be64_to(l1 + i, l1_encode(g, table, refcount == 1));
	}
	if (!r)
		r = qc_file_write(p->w->file, g->l1_offset, l1, bytes);
	qc_cache_invalidate(p->w->layer->tables, g->l1_offset, bytes);
	return r;
}

static qc_err correct_copied(struct repair *p)
{
	struct qc_l1_table active = qc_l1_active(p->w->layer);
	AUTO_FREE uint8_t *l1 = NULL;
	qc_err r = qc_metadata_read_l1(&p->w->metadata, &l1);

	if (!r)
		r = qc_metadata_for_each_l2(&p->w->metadata, &active, l1, QC_WALK_READ_L2,
					    correct_l2_table, p);
	if (!r)
		r = correct_l1_table(p, l1);
	return r ? r : qc_writer_sync(p->w);
}

/* ---- the steps ------------------------------------------------------------------ */

static qc_err unshare_window(struct repair *p)
{
	return qc_unshare_window(p->w, &p->references, &p->done->copies);
}

/* Without its key, guest data cannot be encrypted for another host offset. */
static bool can_unshare(const struct repair *p)
{
	const struct qc_layer *l = p->w->layer;

	return p->is_shared && (!l->head.crypt || l->crypt);
}

static qc_err set_dirty_bit(struct qc_writer *w)
{
	const struct qc_header *h = &w->layer->head;

	if (h->version < 3 || h->incompatible & INCOMPAT_DIRTY)
		return 0;
	return qc_writer_set_incompatible(w, h->incompatible | INCOMPAT_DIRTY);
}

static qc_err raise_and_unshare(struct repair *p)
{
	qc_err r = for_each_window(p, true, raise_window);

	p->w->alloc.never_written = max_u64(p->w->alloc.never_written, p->next);
	if (!r)
		r = qc_checkpoint(p->w, false);
	if (!r && can_unshare(p))
		r = for_each_window(p, true, unshare_window);
	if (!r)
		r = correct_copied(p);
	return r ? r : reopen_count(p);
}

static qc_err lower_refcounts(struct repair *p, bool is_counted)
{
	uint64_t before = p->done->refcounts;
	qc_err r = for_each_window(p, is_counted, lower_window);

	if (!r)
		r = qc_checkpoint(p->w, false);
	return r || p->done->refcounts == before ? r : correct_copied(p);
}

static qc_err run_steps(struct repair *p)
{
	bool all = !(p->flags & QC_REPAIR_LEAKS);
	qc_err r = check_possible(p);

	if (!r && p->needs_rebuild)
		r = rebuild_refcounts(p);
	if (!r && !all && !p->is_different)
		return 0;
	p->done->has_written = p->done->has_written || !r;
	if (!r)
		r = set_dirty_bit(p->w);
	if (!r)
		r = qc_autoclear_clear(p->w);
	if (!r && all)
		r = raise_and_unshare(p);
	return r ? r : lower_refcounts(p, !all);
}

static qc_err clear_dirty_bit(struct qc_writer *w)
{
	uint64_t bits = w->layer->head.incompatible;

	return bits & INCOMPAT_DIRTY ?
		       qc_writer_set_incompatible(w, bits & ~(uint64_t)INCOMPAT_DIRTY) : 0;
}

qc_err qc_repair_run(struct qc_writer *w, unsigned int flags, struct qc_repair_done *done)
{
	bool was_dirty = w->layer->head.incompatible & INCOMPAT_DIRTY;
	struct repair p = { .w = w, .flags = flags, .done = done };
	qc_err r = open_count(&p);

	*done = (struct qc_repair_done){ 0 };
	if (!r)
		r = qc_reference_l2_tables(&p.references, &p.expected);
	/* Each window is counted to look, to raise and to lower; a small file twice. */
	p.expected *= has_many_windows(&p) ? 3 * div_up(p.references.n, QC_REF_WINDOW) : 2;
	if (!r)
		r = run_steps(&p);
	qc_reference_count_close(&p.references);
	w->alloc.never_written = max_u64(w->alloc.never_written, p.next);
	if (!r && !(flags & QC_REPAIR_LEAKS && was_dirty))
		r = clear_dirty_bit(w);
	report_repair_progress(&p, 100);
	return r;
}

qc_err qc_repair_refcounts(struct qc_writer *w, const char *problem, struct qc_reason *why)
{
	const struct qc_log *log = &w->layer->ctx->log;
	struct qc_repair_done done;
	struct timespec began, now;
	qc_err r;

	qc_log(log, QC_LOG_WARN, "%s: %s: rebuilding refcounts", w->layer->path, problem);
	clock_gettime(CLOCK_MONOTONIC, &began);
	r = qc_repair_run(w, 0, &done);
	if (r)
		return qc_fail(why, r, "%s, and cannot be repaired: %s "
				 "(qcowfs check -r all may)", problem, strerror(-r));
	clock_gettime(CLOCK_MONOTONIC, &now);
	qc_log(log, QC_LOG_WARN, "%s: %" PRIu64 " refcounts repaired in %.1f s", w->layer->path,
	       done.refcounts, (double)(now.tv_sec - began.tv_sec) +
				       (double)(now.tv_nsec - began.tv_nsec) / 1e9);
	return 0;
}
