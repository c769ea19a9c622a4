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

#include "base/failpoint.h"
#include "base/range.h"
#include "layer/context.h"
#include "qcow_array.h"
#include "update/checkpoint.h"

struct width_change {
	struct qc_writer *w;
	struct qc_refcounts *rc; /* the old refcounts */
	unsigned int order;	 /* the new one */
	uint64_t *block;	 /* by area: host offset; 0: no block; NEEDED: not allocated yet */
	size_t areas, room;
	uint64_t allocated; /* clusters, for blocks and table */
	struct hoff table;
	uint64_t table_clusters;
};

#define NEEDED UINT64_C(1)

static unsigned int area_bits(const struct width_change *c)
{
	return c->rc->cluster_bits + 3 - c->order;
}

static uint64_t width_cluster(const struct width_change *c)
{
	return UINT64_C(1) << c->rc->cluster_bits;
}

static qc_err need_area(struct width_change *c, uint64_t cluster)
{
	uint64_t area = cluster >> area_bits(c);
	qc_err r = 0;

	if (area >= REFTABLE_BYTES_MAX / 8)
		return -EFBIG;
	if (area >= c->areas) {
		r = array_reserve(&c->block, &c->room, area + 1, sizeof(*c->block));
		if (r)
			return r;
		memset(c->block + c->areas, 0, (area + 1 - c->areas) * sizeof(*c->block));
		c->areas = area + 1;
	}
	if (!c->block[area])
		c->block[area] = NEEDED;
	return 0;
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
	return count > qc_refcount_max(c->order) ? -EOVERFLOW : need_area(c, cluster);
}

static qc_err check_counts(struct width_change *c, struct qc_reason *why)
{
	qc_err r;

	qc_lock(&c->w->alloc.lock);
	r = for_each_counted(c, check_count);
	qc_unlock(&c->w->alloc.lock);
	if (r == -EOVERFLOW)
		return qc_fail(why, r, "a cluster has more references than a refcount of %u bits "
			       "can count", 1u << c->order);
	if (r == -EFBIG)
		return qc_fail(why, r, "refcounts of %u bits need too large a refcount table",
			       1u << c->order);
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
	c->block[area] = at.v;
	return need_area(c, at.v >> c->rc->cluster_bits);
}

static void cancel_width_table(struct width_change *c)
{
	if (c->table_clusters)
		qc_alloc_cancel(&c->w->alloc, c->table, c->table_clusters);
	c->table_clusters = 0;
}

/* Allocates a table for all areas, instead of one that has become too short. */
static qc_err allocate_table(struct width_change *c)
{
	uint64_t n = div_up(c->areas * 8, width_cluster(c));
	qc_err r = 0;

	cancel_width_table(c);
	if (n * width_cluster(c) > REFTABLE_BYTES_MAX)
		return -EFBIG;
	r = qc_alloc_contiguous(&c->w->alloc, n, &c->table);
	c->table_clusters = r ? 0 : n;
	for (uint64_t i = 0; !r && i < n; i++)
		r = need_area(c, (c->table.v >> c->rc->cluster_bits) + i);
	return r;
}

/* Repeats until no area is without a block: each allocation may need another area. */
static qc_err allocate_all(struct width_change *c)
{
	bool again = true;
	qc_err r = 0;

	while (!r && again) {
		again = false;
		for (size_t i = 0; !r && i < c->areas; i++) {
			if (c->block[i] != NEEDED)
				continue;
			r = allocate_block(c, i);
			again = true;
		}
		if (!r && c->table_clusters * width_cluster(c) < c->areas * 8) {
			r = allocate_table(c);
			again = true;
		}
	}
	return r;
}

static void cancel_all(struct width_change *c)
{
	for (size_t i = 0; i < c->areas; i++)
		if (c->block[i] && c->block[i] != NEEDED)
			qc_alloc_cancel(&c->w->alloc, (struct hoff){ c->block[i] }, 1);
	cancel_width_table(c);
}

/* ---- writing ------------------------------------------------------------------------ */

/* Converts the refcounts of one area.  All of them are copied, also those that the allocator
 * has raised for blocks of the old width. */
static qc_err write_area(struct width_change *c, uint64_t area, struct be64 *words)
{
	uint64_t n = UINT64_C(1) << area_bits(c), count;
	qc_err r = 0;

	memset(words, 0, width_cluster(c));
	for (uint64_t i = 0; !r && i < n; i++) {
		r = qc_refcounts_get(c->rc, area * n + i, &count);
		if (!r && count > qc_refcount_max(c->order))
			r = -EOVERFLOW;
		if (!r && count)
			qc_refcount_word_set(words, c->order, i, count);
	}
	return r ? r : qc_file_write(c->w->file, c->block[area], words, width_cluster(c));
}

static qc_err write_width_table(struct width_change *c)
{
	uint64_t bytes = c->table_clusters * width_cluster(c);
	AUTO_FREE uint8_t *be = calloc(1, bytes);

	if (!be)
		return -ENOMEM;
	for (size_t i = 0; i < c->areas; i++)
		be64_to(be + 8 * i, c->block[i]);
	return qc_file_write(c->w->file, c->table.v, be, bytes);
}

/* Allocation is over; refcount blocks of the old width may have been made by it. */
static qc_err write_new_structure(struct width_change *c)
{
	AUTO_FREE struct be64 *words = malloc(width_cluster(c));
	qc_err r = words ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < c->areas; i++)
		if (c->block[i])
			r = write_area(c, i, words);
	if (!r)
		r = write_width_table(c);
	return r ? r : qc_writer_sync(c->w);
}

/* ---- the switch ------------------------------------------------------------------------ */

/* Writes the fields of the refcount table and of the width, and those between, in one write. */
static qc_err switch_width(struct width_change *c)
{
	uint8_t head[HEAD_LENGTH - HEAD_REFTABLE_OFFSET];
	size_t got;
	qc_err r = qc_file_read(c->w->file, HEAD_REFTABLE_OFFSET, head, sizeof(head), &got);

	if (r)
		return r;
	if (FAIL_POINT("amend.before-switch"))
		return -EIO;
	be64_to(head, c->table.v);
	be32_to(head + (HEAD_REFTABLE_CLUSTERS - HEAD_REFTABLE_OFFSET), (uint32_t)c->table_clusters);
	be32_to(head + (HEAD_REFCOUNT_ORDER - HEAD_REFTABLE_OFFSET), c->order);
	return qc_writer_update_header(c->w, HEAD_REFTABLE_OFFSET, head, sizeof(head));
}

/* Puts the new refcounts in the allocator's hands. */
static void use_new_refcounts(struct width_change *c, const struct qc_refcounts *now,
			      const struct qc_header *head)
{
	struct qc_refcounts *rc = c->rc, old = *rc;

	*rc = *now;
	rc->aborted = old.aborted;
	rc->report = old.report;
	rc->report_arg = old.report_arg;
	qc_refcounts_close(&old);
	c->w->layer->head = *head;
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
	struct qc_header head = c->w->layer->head;
	struct qc_refcounts now = { 0 };
	struct qc_free_list old = { 0 };
	qc_err r;

	head.reftable_offset = c->table.v;
	head.reftable_clusters = (uint32_t)c->table_clusters;
	head.refcount_order = c->order;
	qc_lock(&c->w->checkpoint_lock);
	qc_lock(&c->w->alloc.lock);
	r = list_old_structure(c, &old);
	if (!r)
		r = write_new_structure(c);
	if (!r)
		r = qc_refcounts_open(&now, c->w->file, &head, &c->w->layer->ctx->budget, why);
	if (!r)
		r = switch_width(c);
	if (r)
		qc_refcounts_close(&now);
	else
		use_new_refcounts(c, &now, &head);
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
	*c = (struct width_change){ .w = w, .rc = &w->alloc.refcounts, .order = order };
}

qc_err qc_refcount_width_check(struct qc_writer *w, unsigned int order, struct qc_reason *why)
{
	struct width_change c;
	qc_err r;

	init_width_change(&c, w, order);
	r = check_counts(&c, why);
	free(c.block);
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
	free(c.block);
	return r;
}
