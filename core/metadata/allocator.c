/* SPDX-License-Identifier: MIT */
#include "metadata/allocator.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"

static uint64_t cluster_count_max(const struct qc_alloc *a)
{
	return (uint64_t)INT64_MAX >> a->cluster_bits;
}

/* Lowers the refcount of cluster c.  On failure the cluster becomes pending. */
static void lower_refcount(struct qc_alloc *a, uint64_t c)
{
	if (qc_refcounts_add(&a->refcounts, c, -1))
		qc_free_list_add(&a->pending, a->cluster_bits, c << a->cluster_bits,
				 UINT64_C(1) << a->cluster_bits);
}

static qc_err raise_run(struct qc_alloc *a, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		qc_err r = qc_refcounts_add(&a->refcounts, first + i, 1);

		if (!r)
			continue;
		while (i-- > 0)
			lower_refcount(a, first + i);
		return r;
	}
	return 0;
}

/* ---- allocate ------------------------------------------------------------- */

/* Finds the first free cluster at or after c, and makes sure that a refcount block covers
 * the cluster.  A new block or a larger refcount table may take clusters at c. */
static qc_err find_free_cluster(struct qc_alloc *a, uint64_t c, uint64_t *first)
{
	uint64_t count, taken;
	qc_err r;

	for (;;) {
		r = qc_refcounts_get(&a->refcounts, c, &count);
		if (r)
			return r;
		if (count) {
			c++;
			continue;
		}
		if (c > cluster_count_max(a))
			return -EFBIG;
		/* Before the block is written: that may fail half way. */
		if (!qc_refcounts_has_block(&a->refcounts, c))
			a->never_written = max_u64(a->never_written, c + 1);
		r = qc_refcounts_ensure_block(&a->refcounts, c, &taken);
		if (r)
			return r;
		if (!taken)
			break;
		a->never_written = max_u64(a->never_written, c + taken);
		c += taken;
	}
	*first = c;
	return 0;
}

/* Finds the first run of free clusters at or after the cursor, and moves the cursor there. */
static qc_err find_free_run(struct qc_alloc *a, uint64_t *cursor, uint64_t want, uint64_t *first,
			    uint64_t *got)
{
	qc_err r = find_free_cluster(a, *cursor, first);
	uint64_t count;

	if (r)
		return r;
	*cursor = *first;
	for (*got = 1; *got < want; ++*got) {
		uint64_t next = *first + *got;

		/* A run ends before clusters that no block covers yet. */
		if (qc_refcounts_get(&a->refcounts, next, &count) || count ||
		    !qc_refcounts_has_block(&a->refcounts, next))
			break;
	}
	return 0;
}

/* Returns the cursor to search from: data leaves the reserved low clusters to tables. */
static uint64_t *choose_cursor(struct qc_alloc *a, enum qc_alloc_purpose use)
{
	if (use == QC_ALLOC_TABLE && a->table_zone_reserved)
		a->table_zone_reserved--;
	if (use == QC_ALLOC_TABLE || a->cursor >= a->table_zone_end ||
	    a->table_zone_end - a->cursor > a->table_zone_reserved)
		return &a->cursor;
	a->data_cursor = max_u64(a->data_cursor, a->table_zone_end);
	return &a->data_cursor;
}

/* Cluster 0 holds the header: its refcount of 0 is damage. */
static qc_err report_free_header(const struct qc_alloc *a)
{
	if (a->refcounts.report_damage)
		a->refcounts.report_damage(a->refcounts.report_arg, "header", 0, "its refcount is 0");
	return -EIO;
}

static qc_err append_clusters(struct qc_alloc *a, uint64_t want, uint64_t *first, uint64_t *got)
{
	*first = a->cursor;
	*got = want;
	a->cursor += want;
	return *first + want > cluster_count_max(a) ? -EFBIG : 0;
}

static qc_err allocate_run(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want,
			   uint64_t *first, uint64_t *got) NEEDS(&a->lock);
static qc_err allocate_run(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want,
			   uint64_t *first, uint64_t *got)
{
	uint64_t *cursor;
	qc_err r;

	if (!a->has_refcounts)
		return append_clusters(a, want, first, got);
	cursor = choose_cursor(a, use);
	r = find_free_run(a, cursor, want, first, got);
	if (r)
		return r;
	if (!*first)
		return report_free_header(a);
	r = raise_run(a, *first, *got);
	if (!r)
		*cursor = *first + *got;
	return r;
}

qc_err qc_alloc_clusters(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want,
			 struct hoff *first, uint64_t *got, bool *never_written)
{
	uint64_t c = 0;
	qc_err r;

	qc_lock(&a->lock);
	r = allocate_run(a, use, want, &c, got);
	if (!r) {
		/* Other readers of version 1 expect the file to contain whole clusters, so
		 * there the caller writes the zeros. */
		*never_written = a->has_refcounts && c >= a->never_written;
		a->never_written = max_u64(a->never_written, c + *got);
	}
	qc_unlock(&a->lock);
	first->v = c << a->cluster_bits;
	return r;
}

/* Runs that are too short are held until the search has ended, and then freed. */
qc_err qc_alloc_contiguous(struct qc_alloc *a, uint64_t n, struct hoff *first)
{
	struct qc_free_list tried = { 0 };
	uint64_t got = 0;
	bool never_written;
	qc_err r;

	while (!(r = qc_alloc_clusters(a, QC_ALLOC_DATA, n, first, &got, &never_written)) &&
	       got < n) {
		r = qc_free_list_add(&tried, a->cluster_bits, first->v, got << a->cluster_bits);
		if (r) {
			qc_alloc_cancel(a, *first, got);
			break;
		}
	}
	for (size_t i = 0; i < tried.n; i++)
		qc_alloc_cancel(a, (struct hoff){ tried.extent[i].off },
				tried.extent[i].len >> a->cluster_bits);
	qc_free_list_clear(&tried);
	return r;
}

/* ---- bytes of compressed clusters ------------------------------------------ */

/* Returns true if the cluster behind the last compressed data can have one more reference. */
static bool can_pack(struct qc_alloc *a) NEEDS(&a->lock);
static bool can_pack(struct qc_alloc *a)
{
	uint64_t count;

	if (!a->compressed_end || !a->has_refcounts)
		return a->compressed_end;
	return !qc_refcounts_get(&a->refcounts, a->compressed_end >> a->cluster_bits, &count) &&
	       count && count < qc_refcount_max(a->refcounts.order);
}

/* Allocates bytes that begin in the cluster of the last compressed data.  *off: 0 if the bytes do
 * not fit, and the cluster behind is taken; then *c is another new cluster. */
static qc_err pack_bytes(struct qc_alloc *a, uint64_t len, uint64_t *c, uint64_t *off)
	NEEDS(&a->lock);
static qc_err pack_bytes(struct qc_alloc *a, uint64_t len, uint64_t *c, uint64_t *off)
{
	uint64_t last = a->compressed_end >> a->cluster_bits, got;
	uint64_t room = ((last + 1) << a->cluster_bits) - a->compressed_end;
	bool spans = len > room;
	qc_err r = spans ? allocate_run(a, QC_ALLOC_DATA, 1, c, &got) : 0;

	*off = 0;
	if (r || (spans && *c != last + 1))
		return r;
	if (a->has_refcounts)
		r = raise_run(a, last, 1);
	if (r && spans && a->has_refcounts)
		lower_refcount(a, *c);
	if (!r)
		*off = a->compressed_end;
	return r;
}

static qc_err allocate_bytes(struct qc_alloc *a, uint64_t len, uint64_t *off) NEEDS(&a->lock);
static qc_err allocate_bytes(struct qc_alloc *a, uint64_t len, uint64_t *off)
{
	uint64_t c = 0, got, mask = (UINT64_C(1) << a->cluster_bits) - 1;
	qc_err r = 0;

	*off = 0;
	if (can_pack(a))
		r = pack_bytes(a, len, &c, off);
	if (!r && !*off && !c)
		r = allocate_run(a, QC_ALLOC_DATA, 1, &c, &got);
	if (r)
		return r;
	if (!*off)
		*off = c << a->cluster_bits;
	a->never_written = max_u64(a->never_written, div_up(*off + len, mask + 1));
	a->compressed_end = (*off + len) & mask ? *off + len : 0;
	return 0;
}

qc_err qc_alloc_bytes(struct qc_alloc *a, uint64_t len, struct hoff *first)
{
	qc_err r;

	qc_lock(&a->lock);
	r = allocate_bytes(a, len, &first->v);
	qc_unlock(&a->lock);
	return r;
}

void qc_alloc_end_packing(struct qc_alloc *a, uint64_t first, uint64_t end)
{
	uint64_t last = a->compressed_end >> a->cluster_bits;

	if (last >= first && last < end)
		a->compressed_end = 0;
}

/* ---- free ----------------------------------------------------------------- */

static void move_cursors_back(struct qc_alloc *a, uint64_t c)
{
	a->cursor = min_u64(a->cursor, c);
	a->data_cursor = min_u64(a->data_cursor, max_u64(c, a->table_zone_end));
}

void qc_alloc_cancel(struct qc_alloc *a, struct hoff first, uint64_t n)
{
	uint64_t c = first.v >> a->cluster_bits;

	if (!a->has_refcounts)
		return;
	qc_lock(&a->lock);
	for (uint64_t i = 0; i < n; i++)
		lower_refcount(a, c + i);
	move_cursors_back(a, c);
	qc_unlock(&a->lock);
}

void qc_alloc_cancel_bytes(struct qc_alloc *a, struct hoff first, uint64_t len)
{
	uint64_t c = first.v >> a->cluster_bits, mask = (UINT64_C(1) << a->cluster_bits) - 1;
	uint64_t end = div_up(first.v + len, mask + 1);

	if (!a->has_refcounts)
		return;
	qc_lock(&a->lock);
	qc_alloc_end_packing(a, c, end);
	for (uint64_t i = c; i < end; i++)
		lower_refcount(a, i);
	move_cursors_back(a, c);
	qc_unlock(&a->lock);
}

void qc_alloc_note_free(struct qc_alloc *a, uint64_t off, uint64_t len)
{
	qc_alloc_end_packing(a, off >> a->cluster_bits, (off + len) >> a->cluster_bits);
	move_cursors_back(a, off >> a->cluster_bits);
}

/* ---- refcounts, with the lock taken here ----------------------------------- */

qc_err qc_alloc_refcount(struct qc_alloc *a, uint64_t cluster, uint64_t *count)
{
	qc_err r;

	qc_lock(&a->lock);
	r = qc_refcounts_get(&a->refcounts, cluster, count);
	qc_unlock(&a->lock);
	return r;
}

qc_err qc_alloc_set_refcount(struct qc_alloc *a, uint64_t cluster, uint64_t count)
{
	qc_err r;

	qc_lock(&a->lock);
	r = qc_refcounts_set(&a->refcounts, cluster, count);
	qc_unlock(&a->lock);
	return r;
}

bool qc_alloc_is_dirty(struct qc_alloc *a)
{
	bool dirty;

	qc_lock(&a->lock);
	dirty = a->pending.n || (a->has_refcounts && (a->refcounts.table_dirty ||
						      qc_cache_is_dirty(a->refcounts.blocks)));
	qc_unlock(&a->lock);
	return dirty;
}

qc_err qc_alloc_write_blocks(struct qc_alloc *a, struct qc_reftable_update *update)
{
	qc_err r;

	*update = (struct qc_reftable_update){ 0 };
	if (!a->has_refcounts)
		return 0;
	qc_lock(&a->lock);
	r = qc_refcounts_write_blocks(&a->refcounts);
	if (!r) /* under the same lock: no entry may be taken whose block was not written */
		r = qc_refcounts_take_table_entries(&a->refcounts, update);
	qc_unlock(&a->lock);
	return r;
}

qc_err qc_alloc_write_table_entries(struct qc_alloc *a, struct qc_reftable_update *update,
				    bool write)
{
	qc_err r;

	if (!update->entry)
		return 0;
	qc_lock(&a->lock);
	r = qc_refcounts_write_table_entries(&a->refcounts, update, write);
	qc_unlock(&a->lock);
	return r;
}
