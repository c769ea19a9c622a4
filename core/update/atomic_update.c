/* SPDX-License-Identifier: MIT */
#include "update/atomic_update.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "qcow_array.h"
#include "update/checkpoint.h"

static uint64_t update_cluster_bytes(const struct qc_atomic_update *a)
{
	return UINT64_C(1) << a->w->alloc.cluster_bits;
}

void qc_atomic_update_init(struct qc_atomic_update *a, struct qc_writer *w)
{
	const struct qc_header *h = &w->layer->head;

	*a = (struct qc_atomic_update){
		.w = w,
		.size = h->size,
		.l1 = qc_l1_active(w->layer),
		.snapshots = h->snapshots,
		.snapshots_offset = h->snapshots ? h->snapshots_offset : 0,
	};
}

/* ---- reservations --------------------------------------------------------- */

qc_err qc_atomic_update_reserve(struct qc_atomic_update *a, uint64_t n)
{
	qc_err r = array_reserve(&a->reserved, &a->capacity, a->n_reserved + n,
				 sizeof(*a->reserved));

	while (!r && n) {
		struct hoff first;
		uint64_t got;
		bool never_written;

		r = qc_alloc_clusters(&a->w->alloc, QC_ALLOC_TABLE, n, &first, &got,
				      &never_written);
		for (uint64_t i = 0; !r && i < got; i++)
			a->reserved[a->n_reserved++].v = first.v + i * update_cluster_bytes(a);
		n -= r ? 0 : got;
	}
	return r;
}

qc_err qc_atomic_update_reserve_run(struct qc_atomic_update *a, uint64_t n, struct hoff *first)
{
	qc_err r;

	first->v = 0;
	if (!n)
		return 0;
	r = qc_alloc_contiguous(&a->w->alloc, n, first);
	if (r)
		return r;
	r = qc_free_list_add(&a->runs, a->w->alloc.cluster_bits, first->v,
			     n * update_cluster_bytes(a));
	if (r)
		qc_alloc_cancel(&a->w->alloc, *first, n);
	return r;
}

struct hoff qc_atomic_update_next_cluster(struct qc_atomic_update *a)
{
	return a->reserved[a->n_used++];
}

static uint64_t count_refcount_blocks(const struct qc_refcounts *rc)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < rc->entries; i++)
		n += rc->table[i] != 0;
	return n;
}

static void cancel_table(struct qc_atomic_update *a)
{
	if (a->table_clusters)
		qc_alloc_cancel(&a->w->alloc, a->table, a->table_clusters);
	a->table_clusters = 0;
}

/* Reserves clusters for a table of the current size, instead of those for a smaller one. */
static qc_err reserve_table(struct qc_atomic_update *a)
{
	uint64_t n = a->w->alloc.refcounts.entries * 8 / update_cluster_bytes(a);
	qc_err r;

	cancel_table(a);
	r = qc_alloc_contiguous(&a->w->alloc, n, &a->table);
	if (!r)
		a->table_clusters = n;
	return r;
}

/* Repeats until all fits: each reservation may itself add a block, or grow the table. */
qc_err qc_atomic_update_reserve_refcounts(struct qc_atomic_update *a)
{
	const struct qc_refcounts *rc = &a->w->alloc.refcounts;
	uint64_t have = 0;
	qc_err r = 0;

	while (!r && (have < count_refcount_blocks(rc) ||
		      a->table_clusters * update_cluster_bytes(a) != rc->entries * 8)) {
		uint64_t n = count_refcount_blocks(rc) - have;

		if (n) {
			r = qc_atomic_update_reserve(a, n);
			have += n;
			continue;
		}
		r = reserve_table(a);
	}
	return r;
}

/* ---- begin and abort ------------------------------------------------------ */

UNCHECKED static void lock_refcounts(struct qc_writer *w)
{
	qc_lock(&w->checkpoint_lock);
	qc_lock(&w->alloc.lock);
}

UNCHECKED static void unlock_refcounts(struct qc_writer *w)
{
	qc_unlock(&w->alloc.lock);
	qc_unlock(&w->checkpoint_lock);
}

static qc_err copy_refcount_block(struct qc_atomic_update *a, uint64_t from, uint64_t to,
				  void *buf)
{
	struct qc_file *f = a->w->file;
	size_t got;
	qc_err r = qc_file_read(f, from, buf, update_cluster_bytes(a), &got);

	return r ? r : qc_file_write(f, to, buf, update_cluster_bytes(a));
}

qc_err qc_atomic_update_begin(struct qc_atomic_update *a)
{
	struct qc_refcounts *rc = &a->w->alloc.refcounts;
	AUTO_FREE uint8_t *buf = malloc(update_cluster_bytes(a));
	uint64_t *blocks = calloc(rc->entries, sizeof(*blocks));
	qc_err r = buf && blocks ? 0 : -ENOMEM;

	lock_refcounts(a->w);
	if (!r && a->w->aborted)
		r = -EIO;
	if (!r) /* the copies are made from the file */
		r = qc_refcounts_write_blocks(rc);
	for (uint64_t i = 0; !r && i < rc->entries; i++) {
		if (!rc->table[i])
			continue;
		blocks[i] = qc_atomic_update_next_cluster(a).v;
		r = copy_refcount_block(a, rc->table[i], blocks[i], buf);
	}
	if (r) {
		free(blocks);
		return r;
	}
	a->old_blocks = rc->table;
	a->old_table = rc->table_offset;
	a->old_dirty = rc->table_dirty;
	rc->table = blocks;
	rc->table_offset = a->table.v;
	rc->table_dirty = false;
	return 0;
}

static void invalidate_blocks(struct qc_atomic_update *a, const uint64_t *blocks)
{
	const struct qc_refcounts *rc = &a->w->alloc.refcounts;

	for (uint64_t i = 0; i < rc->entries; i++)
		if (blocks[i])
			qc_cache_invalidate(rc->blocks, blocks[i], update_cluster_bytes(a));
}

void qc_atomic_update_abort(struct qc_atomic_update *a)
{
	struct qc_refcounts *rc = &a->w->alloc.refcounts;

	if (a->old_blocks) {
		invalidate_blocks(a, rc->table);
		free(rc->table);
		rc->table = a->old_blocks;
		rc->table_offset = a->old_table;
		rc->table_dirty = a->old_dirty;
		a->old_blocks = NULL;
	}
	unlock_refcounts(a->w);
}

/* ---- refcounts ------------------------------------------------------------ */

static qc_err adjust_refcount(struct qc_atomic_update *a, uint64_t cluster, int by)
{
	struct qc_refcounts *rc = &a->w->alloc.refcounts;
	uint64_t count;
	qc_err r = qc_refcounts_get(rc, cluster, &count);

	if (!r && !count)
		return qc_layer_report_damage(a->w->layer, "cluster at 0x%" PRIx64
					      ": cannot change its refcount: it is 0, but the "
					      "cluster is referenced",
					      cluster << rc->cluster_bits);
	if (!r)
		r = qc_refcounts_add(rc, cluster, by);
	if (!r && count == 1 && by < 0)
		r = qc_free_list_add(&a->freed, rc->cluster_bits, cluster << rc->cluster_bits,
				     update_cluster_bytes(a));
	return r;
}

qc_err qc_atomic_update_adjust(struct qc_atomic_update *a, uint64_t off, uint64_t len, int by)
{
	uint64_t end = div_up(off + len, update_cluster_bytes(a));
	qc_err r = 0;

	for (uint64_t c = off >> a->w->alloc.cluster_bits; !r && c < end; c++)
		r = adjust_refcount(a, c, by);
	return r;
}

qc_err qc_atomic_update_refcount(struct qc_atomic_update *a, struct hoff host, uint64_t *count)
{
	struct qc_refcounts *rc = &a->w->alloc.refcounts;

	return qc_refcounts_get(rc, host.v >> rc->cluster_bits, count);
}

/* ---- commit --------------------------------------------------------------- */

/* Lowers the refcounts of the old refcount table, its blocks, and reserved clusters that were
 * not needed. */
static qc_err lower_unused(struct qc_atomic_update *a)
{
	const struct qc_refcounts *rc = &a->w->alloc.refcounts;
	qc_err r = qc_atomic_update_adjust(a, a->old_table, rc->entries * 8, -1);

	for (uint64_t i = 0; !r && i < rc->entries; i++)
		if (a->old_blocks[i])
			r = qc_atomic_update_adjust(a, a->old_blocks[i], 1, -1);
	for (size_t i = a->n_used; !r && i < a->n_reserved; i++)
		r = qc_atomic_update_adjust(a, a->reserved[i].v, 1, -1);
	return r;
}

static qc_err write_refcount_table(struct qc_atomic_update *a)
{
	const struct qc_refcounts *rc = &a->w->alloc.refcounts;
	AUTO_FREE uint8_t *be = malloc(rc->entries * 8);

	if (!be)
		return -ENOMEM;
	for (uint64_t i = 0; i < rc->entries; i++)
		be64_to(be + 8 * i, rc->table[i]);
	return qc_file_write(a->w->file, a->table.v, be, rc->entries * 8);
}

/* Writes six adjacent fields of the header, and syncs.  If the size of the disk changes, this
 * field is written as well, and the encryption method that is between them. */
static qc_err switch_header(struct qc_atomic_update *a)
{
	const struct qc_header *h = &a->w->layer->head;
	uint64_t from = a->size == h->size ? HEAD_L1_ENTRIES : HEAD_SIZE;
	uint8_t head[HEAD_V2_BYTES];

	be64_to(head + HEAD_SIZE, a->size);
	be32_to(head + HEAD_CRYPT, h->crypt);
	be32_to(head + HEAD_L1_ENTRIES, a->l1.l1_entries);
	be64_to(head + HEAD_L1_OFFSET, a->l1.l1_offset);
	be64_to(head + HEAD_REFTABLE_OFFSET, a->table.v);
	be32_to(head + HEAD_REFTABLE_CLUSTERS, (uint32_t)a->table_clusters);
	be32_to(head + HEAD_SNAPSHOTS, a->snapshots);
	be64_to(head + HEAD_SNAPSHOTS_OFFSET, a->snapshots_offset);
	return qc_writer_update_header(a->w, from, head + from, sizeof(head) - from);
}

/* Drops cached slices of the freed clusters, and tells the allocator.  No table in the file
 * references them any more. */
UNCHECKED static void release_freed(struct qc_atomic_update *a)
{
	for (size_t i = 0; i < a->freed.n; i++) {
		struct qc_free_extent x = a->freed.extent[i];

		qc_cache_invalidate(a->w->alloc.refcounts.blocks, x.off, x.len);
		qc_writer_on_cluster_freed(a->w, x.off, x.len);
		qc_alloc_note_free(&a->w->alloc, x.off, x.len);
	}
}

qc_err qc_atomic_update_commit(struct qc_atomic_update *a)
{
	struct qc_header *h = &a->w->layer->head;
	qc_err r = lower_unused(a);

	if (!r)
		r = qc_refcounts_write_blocks(&a->w->alloc.refcounts);
	if (!r)
		r = write_refcount_table(a);
	if (!r)
		r = qc_writer_sync(a->w);
	if (!r && FAIL_POINT("atomic-update.before-switch"))
		r = -EIO;
	if (!r)
		r = switch_header(a);
	if (r)
		return r;
	a->committed = true;
	a->w->zeros_behind = a->w->zeros_behind && h->size == a->size;
	h->size = a->size;
	atomic_store(&a->w->layer->size, a->size);
	h->geom.l1_offset = a->l1.l1_offset;
	h->geom.l1_entries = a->l1.l1_entries;
	qc_map_raise_version(a->w->layer);
	h->snapshots = a->snapshots;
	h->snapshots_offset = a->snapshots_offset;
	release_freed(a);
	free(a->old_blocks);
	a->old_blocks = NULL;
	unlock_refcounts(a->w);
	return 0;
}

void qc_atomic_update_end(struct qc_atomic_update *a)
{
	struct qc_alloc *alloc = &a->w->alloc;
	/* After a failed sync the header in the file may be the new one. */
	bool keep = a->committed || a->w->aborted;

	for (size_t i = 0; !keep && i < a->n_reserved; i++)
		qc_alloc_cancel(alloc, a->reserved[i], 1);
	for (size_t i = 0; !keep && i < a->runs.n; i++)
		qc_alloc_cancel(alloc, (struct hoff){ a->runs.extent[i].off },
				a->runs.extent[i].len >> alloc->cluster_bits);
	if (!keep)
		cancel_table(a);
	free(a->reserved);
	qc_free_list_clear(&a->runs);
	qc_free_list_clear(&a->freed);
}
