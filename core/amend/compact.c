/* SPDX-License-Identifier: MIT */
/*
 * compact.c - the rounds of a compaction.
 *
 * First structures of several clusters behind the wanted end move as a whole; if they find
 * no room, the clusters in the cheapest window move out of it.  Then the last clusters of the
 * file move into the first free ones, a region at a time.  Refcount blocks that count nothing any
 * more are dropped, which makes more room, and the file is cut.
 */
#include "qcow_compact.h"

#include <errno.h>
#include <string.h>

#include "amend/compact_move.h"
#include "amend/exclusive.h"
#include "base/range.h"
#include "check/full_check.h"
#include "check/repair.h"
#include "layer/context_fields.h"
#include "qcow_array.h"
#include "update/checkpoint.h"

#define REGION_BYTES (256 * MIB) /* bounds the memory of a round */
enum { WINDOW_MAX = 4 << 20 };	 /* clusters that are searched for a window */

struct compact {
	struct qc_writer *w;
	const struct geom *g;
	qc_compact_fn *fn;
	void *arg;
	struct qc_compact_result *out;
	uint64_t end;	/* cluster behind the last one in use */
	uint64_t used;	/* clusters in use */
	uint64_t total; /* bytes that will move, about */
	struct qc_free_list fixed; /* structures that cannot move */
};

/* A qc_compact_stop_fn. */
static bool stop_compacting(void *arg)
{
	struct compact *c = arg;

	if (c->fn && !c->out->interrupted)
		c->out->interrupted = !c->fn(c->arg, min_u64(c->out->moved, c->total), c->total);
	return c->out->interrupted;
}

static qc_err count_used(struct compact *c)
{
	struct qc_refcounts *rc = &c->w->alloc.refcounts;
	uint64_t per_block = UINT64_C(1) << qc_refcounts_block_bits(rc), count;
	qc_err r = 0;

	c->end = c->used = 0;
	qc_lock(&c->w->alloc.lock);
	for (uint64_t i = 0; !r && i < rc->entries; i++) {
		for (uint64_t k = i * per_block; !r && rc->table[i] && k < (i + 1) * per_block; k++) {
			r = qc_refcounts_get(rc, k, &count);
			c->used += count != 0;
			c->end = count ? k + 1 : c->end;
		}
	}
	qc_unlock(&c->w->alloc.lock);
	return r;
}

/* Runs a plan whose clusters were chosen with the result @r. */
static qc_err run_plan(struct compact *c, struct qc_compact_plan *p, qc_err r)
{
	if (r) {
		qc_compact_plan_cancel(p);
		return r;
	}
	if (p->moved)
		r = qc_compact_move(p, stop_compacting, c);
	if (!r)
		c->out->moved += p->moved;
	return r;
}

/* ---- structures of several clusters ------------------------------------------------- */

struct runs {
	struct compact *c;
	uint64_t off, len; /* the last one that may move; len 0: none */
};

static bool is_fixed(const struct compact *c, uint64_t off)
{
	for (size_t i = 0; i < c->fixed.n; i++)
		if (c->fixed.extent[i].off == off)
			return true;
	return false;
}

/* Keeps the last structure that ends behind the wanted end of the file. */
static qc_err find_structure(void *arg, struct qc_metadata_item *item)
{
	struct runs *s = arg;
	const struct compact *c = s->c;

	if (item->invalid || item->kind == QC_METADATA_L2_TABLE || !item->off ||
	    item->len <= geom_cluster(c->g) || item->off < s->off || is_fixed(c, item->off))
		return 0;
	if (div_up(item->off + item->len, geom_cluster(c->g)) <= c->used)
		return 0;
	s->off = item->off;
	s->len = item->len;
	return 0;
}

static qc_err move_run(struct compact *c, uint64_t first, uint64_t n, uint64_t dest)
{
	struct qc_compact_plan p;
	qc_err r = qc_compact_plan_new(&p, c->w, first, n);

	if (!r)
		r = run_plan(c, &p, qc_compact_plan_run(&p, dest));
	qc_compact_plan_free(&p);
	return r;
}

/* Finds the window of @n clusters in the region with the fewest clusters in use, all of which can
 * move one by one.  Returns its index, or p->n. */
static uint64_t find_window(const struct qc_compact_plan *p, uint64_t n)
{
	uint64_t best = p->n, least = UINT64_MAX, used = 0, blocked = 0;

	for (uint64_t i = 0; i < p->n; i++) {
		used += qc_compact_is_single(p->kind[i]);
		blocked += p->kind[i] > QC_COMPACT_DATA;
		if (i >= n) {
			used -= qc_compact_is_single(p->kind[i - n]);
			blocked -= p->kind[i - n] > QC_COMPACT_DATA;
		}
		if (i + 1 < n || blocked || used >= least)
			continue;
		least = used;
		best = i + 1 - n;
	}
	return best;
}

/* Empties a window of @n clusters before cluster @limit.  *first is @limit if there is none. */
static qc_err empty_window(struct compact *c, uint64_t n, uint64_t limit, uint64_t *first)
{
	struct qc_compact_plan all, window = { 0 };
	uint64_t at = 0;
	qc_err r = qc_compact_plan_new(&all, c->w, 1, min_u64(limit - 1, WINDOW_MAX));

	*first = limit;
	if (!r)
		r = qc_compact_plan_collect(&all);
	if (!r) {
		at = find_window(&all, n);
		if (at < all.n)
			r = qc_compact_plan_new(&window, c->w, 1 + at, n);
	}
	if (!r && at < all.n) {
		memcpy(window.kind, all.kind + at, n);
		r = run_plan(c, &window, qc_compact_plan_evict(&window, c->end));
		*first = r ? limit : 1 + at;
	}
	qc_compact_plan_free(&all);
	qc_compact_plan_free(&window);
	return r == -ENOSPC ? 0 : r;
}

/* Moves one structure down.  Where that is not possible, it is not tried again. */
static qc_err lower_run(struct compact *c, uint64_t off, uint64_t len)
{
	uint64_t first = off >> c->g->cluster_bits, n = div_up(len, geom_cluster(c->g)), dest = 0;
	qc_err r = qc_compact_plan_find_free(c->w, 1, first, n, &dest);

	if (!r && dest == first)
		r = empty_window(c, n, first, &dest);
	if (!r && dest < first)
		r = move_run(c, first, n, dest);
	if (!r && dest == first)
		r = qc_free_list_add(&c->fixed, c->g->cluster_bits, off, 0);
	return r;
}

static qc_err lower_runs(struct compact *c)
{
	struct runs s = { .c = c, .len = 1 };
	qc_err r = 0;

	while (!r && s.len && !stop_compacting(c)) {
		s.off = s.len = 0;
		r = count_used(c);
		if (!r)
			r = qc_metadata_for_each(&c->w->metadata, 0, find_structure, &s);
		if (!r && s.len)
			r = lower_run(c, s.off, s.len);
	}
	return r;
}

/* ---- single clusters ------------------------------------------------------------------ */

/* Moves clusters of the last region of the file.  *moved: bytes. */
static qc_err run_round(struct compact *c, uint64_t *moved)
{
	uint64_t n = min_u64(REGION_BYTES >> c->g->cluster_bits, c->end - 1);
	struct qc_compact_plan p;
	qc_err r = qc_compact_plan_new(&p, c->w, c->end - n, n);

	if (!r)
		r = qc_compact_plan_collect(&p);
	if (!r)
		r = run_plan(c, &p, qc_compact_plan_downward(&p));
	*moved = p.moved;
	qc_compact_plan_free(&p);
	return r;
}

static qc_err run_rounds(struct compact *c)
{
	uint64_t moved = 1;
	qc_err r = count_used(c);

	while (!r && moved && c->end > 1 && !stop_compacting(c)) {
		r = run_round(c, &moved);
		if (!r)
			r = count_used(c);
	}
	return r;
}

/* ---- refcount blocks -------------------------------------------------------------------- */

/* Returns in *empty if the block counts nothing, but perhaps itself.  The caller holds alloc.lock. */
static qc_err is_block_empty(struct qc_refcounts *rc, uint64_t i, bool *empty)
{
	uint64_t per_block = UINT64_C(1) << qc_refcounts_block_bits(rc), count;
	uint64_t own = rc->table[i] >> rc->cluster_bits;
	qc_err r = 0;

	*empty = i > 0 && rc->table[i];
	for (uint64_t k = i * per_block; !r && *empty && k < (i + 1) * per_block; k++) {
		r = qc_refcounts_get(rc, k, &count);
		*empty = !count || k == own;
	}
	return r;
}

/* Removes a block from the table in the file, and then frees its cluster.  A block that counts
 * itself takes its refcount with it. */
static qc_err drop_block(struct compact *c, uint64_t i)
{
	struct qc_refcounts *rc = &c->w->alloc.refcounts;
	static const uint8_t none[8];
	uint64_t off = rc->table[i], own = off >> rc->cluster_bits;
	qc_err r = qc_file_write(c->w->file, rc->table_offset + 8 * i, none, sizeof(none));

	if (!r)
		r = qc_writer_sync(c->w);
	if (r)
		return r;
	qc_lock(&c->w->alloc.lock);
	qc_cache_invalidate(rc->blocks, off, geom_cluster(c->g));
	rc->table[i] = 0;
	if (qc_refcounts_has_block(rc, own))
		r = qc_refcounts_set(rc, own, 0);
	qc_alloc_note_free(&c->w->alloc, off, geom_cluster(c->g));
	qc_unlock(&c->w->alloc.lock);
	qc_writer_on_cluster_freed(c->w, off, geom_cluster(c->g));
	return r ? r : qc_checkpoint(c->w, false);
}

static qc_err drop_empty_blocks(struct compact *c, bool *any)
{
	struct qc_refcounts *rc = &c->w->alloc.refcounts;
	qc_err r = 0;

	*any = false;
	for (uint64_t i = 0; !r && i < rc->entries; i++) {
		bool empty;

		qc_lock(&c->w->alloc.lock);
		r = is_block_empty(rc, i, &empty);
		qc_unlock(&c->w->alloc.lock);
		if (r || !empty)
			continue;
		r = drop_block(c, i);
		*any = true;
	}
	return r;
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Checks all metadata with refcounts that are read anew. */
static qc_err check_metadata_of(struct compact *c, struct qc_check_result *result)
{
	const struct qc_refcounts *rc = &c->w->alloc.refcounts;
	struct qc_header head = c->w->layer->head;
	struct qc_refcounts own = { 0 };
	struct qc_metadata md = { .file = c->w->file, .head = &head, .refcounts = &own };
	struct qc_full_check check = { .md = &md, .out = { .result = result },
				       .path = c->w->layer->path };
	struct qc_reason ignored;
	qc_err r;

	head.reftable_offset = rc->table_offset;
	head.reftable_clusters = (uint32_t)(rc->entries * 8 / geom_cluster(c->g));
	r = qc_refcounts_open(&own, md.file, &head, &c->w->layer->ctx->budget, &ignored);
	if (!r)
		r = qc_full_check(&check);
	qc_refcounts_close(&own);
	return r;
}

/* Leaked clusters are freed: no table tells where they could move. */
static qc_err check_and_free_leaks(struct compact *c, struct qc_reason *why)
{
	struct qc_check_result result = { 0 };
	struct qc_repair_done done;
	qc_err r = check_metadata_of(c, &result);

	if (r)
		return qc_fail_errno(why, r, "cannot check the image");
	if (result.corruptions)
		return qc_fail(why, -EIO, "cannot compact: the image is damaged (qcowfs check -r all "
			       "repairs it)");
	if (result.leaks)
		r = qc_repair_run(c->w, QC_REPAIR_LEAKS, &done);
	return r ? qc_fail_errno(why, r, "cannot free leaked clusters") : 0;
}

static qc_err cut_file(struct compact *c)
{
	uint64_t bytes = c->end << c->g->cluster_bits;
	struct qc_file_stat now;
	qc_err r = qc_file_stat(c->w->file, &now);

	if (!r && now.size > bytes) {
		r = qc_file_resize(c->w->file, bytes);
		if (!r)
			r = qc_writer_sync(c->w);
		if (!r)
			c->w->alloc.never_written = c->end;
	}
	if (!r)
		r = qc_file_stat(c->w->file, &now);
	c->out->bytes_after = now.size;
	return r;
}

static qc_err move_everything(struct compact *c)
{
	bool again = true;
	qc_err r = count_used(c);

	c->total = (c->end - min_u64(c->used, c->end)) << c->g->cluster_bits;
	while (!r && again) {
		r = lower_runs(c);
		if (!r)
			r = run_rounds(c);
		if (!r)
			r = drop_empty_blocks(c, &again);
	}
	return r && r != -ECANCELED ? r : count_used(c);
}

static qc_err compact_exclusively(struct qc_writer *w, void *arg, struct qc_reason *why)
{
	struct compact *c = arg;
	struct qc_file_stat now;
	qc_err r;

	c->w = w;
	c->g = &w->layer->head.geom;
	if (c->g->layout == LAYOUT_V1)
		return qc_fail(why, -EOPNOTSUPP, "version 1 does not count references, and cannot be "
			       "compacted (qcowfs convert makes a small copy)");
	if (w->layer->table.pins)
		return qc_fail(why, -EBUSY, "a snapshot of the image is open");
	r = qc_file_stat(w->file, &now);
	c->out->bytes_before = c->out->bytes_after = now.size;
	if (r)
		return qc_fail_errno(why, r, NULL);
	r = check_and_free_leaks(c, why);
	if (r)
		return r;
	r = move_everything(c);
	if (!r)
		r = cut_file(c);
	qc_free_list_clear(&c->fixed);
	return r ? qc_fail_errno(why, r, "cannot compact") : 0;
}

qc_err qc_compact(struct qc_image *img, qc_compact_fn *fn, void *arg,
		  struct qc_compact_result *out, struct qc_reason *why)
{
	struct compact c = { .fn = fn, .arg = arg, .out = out };

	*out = (struct qc_compact_result){ 0 };
	return qc_exclusive_run(img, compact_exclusively, &c, why);
}
