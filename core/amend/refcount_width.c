/* SPDX-License-Identifier: MIT */
/*
 * refcount_width.c - the new blocks are numbered by area: the clusters that one block covers.
 *
 * The clusters of the new structure are allocated by the old refcounts, and so are counted in
 * the copy.  To allocate them can need new areas, so that is repeated until nothing is missing.
 * The old structure is copied as allocated, too, and is freed after the switch.
 */
#include "amend/refcount_width.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/range.h"
#include "layer/context_fields.h"
#include "update/new_refcounts.h"

struct width_change {
	struct qc_writer *w;
	struct qc_refcounts *rc; /* the old refcounts */
	struct qc_new_refcounts now;
};

static uint64_t width_cluster(const struct width_change *c)
{
	return UINT64_C(1) << c->rc->cluster_bits;
}

/* ---- reading the old refcounts -------------------------------------------------- */

/* Calls fn for each cluster whose refcount is not 0.  The caller holds alloc.lock. */
typedef qc_err counted_fn(struct width_change *c, uint64_t cluster, uint64_t count);

static qc_err for_each_counted(struct width_change *c, counted_fn *fn)
{
	uint64_t per_block = UINT64_C(1) << qc_refcounts_block_bits(c->rc), count;
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < c->rc->entries; i++) {
		if (!c->rc->table[i])
			continue;
		r = qc_context_interrupted(c->w->layer->ctx);
		for (uint64_t k = i * per_block; !r && k < (i + 1) * per_block; k++) {
			r = qc_refcounts_get(c->rc, k, &count);
			if (!r && count)
				r = fn(c, k, count);
		}
	}
	return r;
}

static qc_err check_count(struct width_change *c, uint64_t cluster, uint64_t count)
{
	if (count > qc_refcount_max(c->now.order))
		return -EOVERFLOW;
	return qc_new_refcounts_need(&c->now, cluster);
}

static qc_err check_counts(struct width_change *c, struct qc_reason *why)
{
	qc_err r;

	qc_lock(&c->w->alloc.lock);
	r = for_each_counted(c, check_count);
	qc_unlock(&c->w->alloc.lock);
	if (r == -EOVERFLOW)
		return qc_fail(why, r, "a cluster has more references than a refcount of %u bits "
			       "can count", 1u << c->now.order);
	if (r == -EFBIG)
		return qc_fail(why, r, "refcounts of %u bits need too large a refcount table",
			       1u << c->now.order);
	return r ? qc_fail_errno(why, r, "cannot read the refcounts") : 0;
}

/* ---- allocating ------------------------------------------------------------------- */

static qc_err allocate_block(struct width_change *c, uint64_t area)
{
	struct hoff at;
	uint64_t got;
	bool never_written;
	qc_err r = qc_alloc_clusters(&c->w->alloc, QC_ALLOC_TABLE, 1, &at, &got, &never_written);

	if (r)
		return r;
	c->now.block[area] = at.v;
	return qc_new_refcounts_need(&c->now, at.v >> c->rc->cluster_bits);
}

static void cancel_width_table(struct width_change *c)
{
	if (c->now.table_clusters)
		qc_alloc_cancel(&c->w->alloc, c->now.table, c->now.table_clusters);
	c->now.table_clusters = 0;
}

/* Allocates a table for all areas, instead of one that has become too short. */
static qc_err allocate_table(struct width_change *c)
{
	uint64_t n = qc_new_refcounts_table_need(&c->now);
	qc_err r = 0;

	cancel_width_table(c);
	if (n * width_cluster(c) > REFTABLE_BYTES_MAX)
		return -EFBIG;
	r = qc_alloc_contiguous(&c->w->alloc, n, &c->now.table);
	c->now.table_clusters = r ? 0 : n;
	for (uint64_t i = 0; !r && i < n; i++)
		r = qc_new_refcounts_need(&c->now, (c->now.table.v >> c->rc->cluster_bits) + i);
	return r;
}

/* Repeats until no area is without a block: each allocation may need another area. */
static qc_err allocate_all(struct width_change *c)
{
	bool again = true;
	qc_err r = 0;

	while (!r && again) {
		again = false;
		for (size_t i = 0; !r && i < c->now.areas; i++) {
			if (c->now.block[i] != QC_BLOCK_NEEDED)
				continue;
			r = allocate_block(c, i);
			again = true;
		}
		if (!r && c->now.table_clusters < qc_new_refcounts_table_need(&c->now)) {
			r = allocate_table(c);
			again = true;
		}
	}
	return r;
}

static void cancel_all(struct width_change *c)
{
	for (size_t i = 0; i < c->now.areas; i++)
		if (c->now.block[i] && c->now.block[i] != QC_BLOCK_NEEDED)
			qc_alloc_cancel(&c->w->alloc, (struct hoff){ c->now.block[i] }, 1);
	cancel_width_table(c);
}

/* ---- writing ------------------------------------------------------------------------ */

/* Converts the refcounts of one area.  All of them are copied, also those that the allocator
 * has raised for blocks of the old width. */
static qc_err write_area(struct width_change *c, uint64_t area, struct be64 *words)
{
	uint64_t n = UINT64_C(1) << qc_new_refcounts_area_bits(&c->now), count;
	qc_err r = qc_context_interrupted(c->w->layer->ctx);

	memset(words, 0, width_cluster(c));
	for (uint64_t i = 0; !r && i < n; i++) {
		r = qc_refcounts_get(c->rc, area * n + i, &count);
		if (!r && count > qc_refcount_max(c->now.order))
			r = -EOVERFLOW;
		if (!r && count)
			qc_refcount_word_set(words, c->now.order, i, count);
	}
	return r ? r : qc_file_write(c->w->file, c->now.block[area], words, width_cluster(c));
}

/* Allocation is over; refcount blocks of the old width may have been made by it. */
static qc_err write_new_blocks(struct width_change *c)
{
	AUTO_FREE struct be64 *words = malloc(width_cluster(c));
	qc_err r = words ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < c->now.areas; i++)
		if (c->now.block[i])
			r = write_area(c, i, words);
	return r;
}

static qc_err list_old_structure(struct width_change *c, struct qc_free_list *old)
{
	qc_err r = qc_free_list_add(old, c->rc->cluster_bits, c->rc->table_offset, c->rc->entries * 8);

	for (uint64_t i = 0; !r && i < c->rc->entries; i++)
		if (c->rc->table[i])
			r = qc_free_list_add(old, c->rc->cluster_bits, c->rc->table[i], width_cluster(c));
	return r;
}

UNCHECKED static qc_err replace_structure(struct width_change *c, struct qc_reason *why)
{
	struct qc_free_list old = { 0 };
	qc_err r;

	qc_lock(&c->w->checkpoint_lock);
	qc_lock(&c->w->alloc.lock);
	r = list_old_structure(c, &old);
	if (!r)
		r = write_new_blocks(c);
	if (!r)
		r = qc_new_refcounts_switch(&c->now, why);
	qc_unlock(&c->w->alloc.lock);
	qc_unlock(&c->w->checkpoint_lock);
	for (size_t i = 0; !r && i < old.n; i++)
		qc_alloc_defer_free(&c->w->alloc, old.extent[i].off, old.extent[i].len);
	qc_free_list_clear(&old);
	if (r)
		qc_fail_errno(why, r, "cannot write the refcounts");
	return r;
}

/* ---------------------------------------------------------------------------------------- */

static void init_width_change(struct width_change *c, struct qc_writer *w, unsigned int order)
{
	*c = (struct width_change){ .w = w, .rc = &w->alloc.refcounts };
	qc_new_refcounts_init(&c->now, w, order);
}

qc_err qc_refcount_width_check(struct qc_writer *w, unsigned int order, struct qc_reason *why)
{
	struct width_change c;
	qc_err r;

	init_width_change(&c, w, order);
	r = check_counts(&c, why);
	qc_new_refcounts_free(&c.now);
	return r;
}

qc_err qc_refcount_width_change(struct qc_writer *w, unsigned int order, struct qc_reason *why)
{
	struct width_change c;
	bool allocated = false;
	qc_err r;

	init_width_change(&c, w, order);
	r = check_counts(&c, why);
	if (!r) {
		r = allocate_all(&c);
		if (r)
			qc_fail_errno(why, r, "cannot allocate new refcount blocks");
		else
			r = replace_structure(&c, why);
		/* After a failed sync the header in the file may be the new one. */
		allocated = r && !w->aborted;
	}
	if (allocated)
		cancel_all(&c);
	qc_new_refcounts_free(&c.now);
	return r;
}
