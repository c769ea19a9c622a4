/* SPDX-License-Identifier: MIT */
#include "update/atomic_update.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "update/checkpoint.h"

static uint64_t cluster_bytes(const struct qc_atomic_update *s)
{
	return UINT64_C(1) << s->w->alloc.cluster_bits;
}

void qc_atomic_update_init(struct qc_atomic_update *s, struct qc_writer *w)
{
	const struct qc_header *h = &w->layer->head;

	*s = (struct qc_atomic_update){
		.w = w,
		.root = qc_l1_active(w->layer),
		.snapshots = h->snapshots,
		.snapshots_offset = h->snapshots ? h->snapshots_offset : 0,
	};
}

/* ---- places --------------------------------------------------------------- */

qc_err qc_atomic_update_reserve(struct qc_atomic_update *s, uint64_t n)
{
	qc_err r = array_reserve(&s->pool, &s->room, s->n + n, sizeof(*s->pool));

	while (!r && n) {
		struct hoff first;
		uint64_t got;
		bool never_written;

		r = qc_alloc_clusters(&s->w->alloc, QC_ALLOC_TABLE, n, &first, &got, &never_written);
		for (uint64_t i = 0; !r && i < got; i++)
			s->pool[s->n++].v = first.v + i * cluster_bytes(s);
		n -= r ? 0 : got;
	}
	return r;
}

qc_err qc_atomic_update_reserve_run(struct qc_atomic_update *s, uint64_t n, struct hoff *first)
{
	qc_err r;

	first->v = 0;
	if (!n)
		return 0;
	r = qc_alloc_contiguous(&s->w->alloc, n, first);
	if (r)
		return r;
	r = qc_free_list_add(&s->w->alloc, &s->runs, first->v, n * cluster_bytes(s));
	if (r)
		qc_alloc_cancel(&s->w->alloc, *first, n);
	return r;
}

struct hoff qc_atomic_update_next_cluster(struct qc_atomic_update *s)
{
	return s->pool[s->used++];
}

static uint64_t count_blocks(const struct qc_refcounts *c)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < c->entries; i++)
		n += c->table[i] != 0;
	return n;
}

static void undo_table(struct qc_atomic_update *s)
{
	if (s->table_clusters)
		qc_alloc_cancel(&s->w->alloc, s->table, s->table_clusters);
	s->table_clusters = 0;
}

static qc_err own_table(struct qc_atomic_update *s)
{
	uint64_t n = s->w->alloc.refcounts.entries * 8 / cluster_bytes(s);
	qc_err r;

	undo_table(s);
	r = qc_alloc_contiguous(&s->w->alloc, n, &s->table);
	if (!r)
		s->table_clusters = n;
	return r;
}

/* Taking places may make more blocks, or a larger table. */
qc_err qc_atomic_update_reserve_refcounts(struct qc_atomic_update *s)
{
	const struct qc_refcounts *c = &s->w->alloc.refcounts;
	uint64_t have = 0;
	qc_err r = 0;

	while (!r && (have < count_blocks(c) ||
		      s->table_clusters * cluster_bytes(s) != c->entries * 8)) {
		uint64_t n = count_blocks(c) - have;

		if (n) {
			r = qc_atomic_update_reserve(s, n);
			have += n;
			continue;
		}
		r = own_table(s);
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

static qc_err copy_block(struct qc_atomic_update *s, uint64_t from, uint64_t to, void *buf)
{
	struct qc_file *f = s->w->file;
	size_t got;
	qc_err r = qc_file_read(f, from, buf, cluster_bytes(s), &got);

	return r ? r : qc_file_write(f, to, buf, cluster_bytes(s));
}

qc_err qc_atomic_update_begin(struct qc_atomic_update *s)
{
	struct qc_refcounts *c = &s->w->alloc.refcounts;
	AUTO_FREE uint8_t *buf = malloc(cluster_bytes(s));
	uint64_t *blocks = calloc(c->entries, sizeof(*blocks));
	qc_err r = buf && blocks ? 0 : -ENOMEM;

	lock_refcounts(s->w);
	if (!r && s->w->aborted)
		r = -EIO;
	if (!r) /* so that they can be copied in the file */
		r = qc_refcounts_write_blocks(c);
	for (uint64_t i = 0; !r && i < c->entries; i++) {
		if (!c->table[i])
			continue;
		blocks[i] = qc_atomic_update_next_cluster(s).v;
		r = copy_block(s, c->table[i], blocks[i], buf);
	}
	if (r) {
		free(blocks);
		return r;
	}
	s->blocks_before = c->table;
	s->table_before = c->table_offset;
	s->dirty_before = c->table_dirty;
	c->table = blocks;
	c->table_offset = s->table.v;
	c->table_dirty = false;
	return 0;
}

static void forget_blocks(struct qc_atomic_update *s, const uint64_t *blocks)
{
	const struct qc_refcounts *c = &s->w->alloc.refcounts;

	for (uint64_t i = 0; i < c->entries; i++)
		if (blocks[i])
			qc_cache_invalidate(c->blocks, blocks[i], cluster_bytes(s));
}

void qc_atomic_update_abort(struct qc_atomic_update *s)
{
	struct qc_refcounts *c = &s->w->alloc.refcounts;

	if (s->blocks_before) {
		forget_blocks(s, c->table);
		free(c->table);
		c->table = s->blocks_before;
		c->table_offset = s->table_before;
		c->table_dirty = s->dirty_before;
		s->blocks_before = NULL;
	}
	unlock_refcounts(s->w);
}

/* ---- counts --------------------------------------------------------------- */

static qc_err add_one(struct qc_atomic_update *s, uint64_t cluster, int by)
{
	struct qc_refcounts *c = &s->w->alloc.refcounts;
	uint64_t count;
	qc_err r = qc_refcounts_get(c, cluster, &count);

	if (!r && !count)
		r = QC_REFCOUNT_UNDERFLOW;
	if (!r)
		r = qc_refcounts_add(c, cluster, by);
	if (!r && count == 1 && by < 0)
		r = qc_free_list_add(&s->w->alloc, &s->freed, cluster << c->cluster_bits,
				  cluster_bytes(s));
	return r;
}

qc_err qc_atomic_update_adjust(struct qc_atomic_update *s, uint64_t off, uint64_t len, int by)
{
	uint64_t end = div_up(off + len, cluster_bytes(s));
	qc_err r = 0;

	for (uint64_t c = off >> s->w->alloc.cluster_bits; !r && c < end; c++)
		r = add_one(s, c, by);
	return r;
}

qc_err qc_atomic_update_refcount(struct qc_atomic_update *s, struct hoff host, uint64_t *count)
{
	struct qc_refcounts *c = &s->w->alloc.refcounts;

	return qc_refcounts_get(c, host.v >> c->cluster_bits, count);
}

/* ---- commit --------------------------------------------------------------- */

static qc_err lower_unused(struct qc_atomic_update *s)
{
	const struct qc_refcounts *c = &s->w->alloc.refcounts;
	qc_err r = qc_atomic_update_adjust(s, s->table_before, c->entries * 8, -1);

	for (uint64_t i = 0; !r && i < c->entries; i++)
		if (s->blocks_before[i])
			r = qc_atomic_update_adjust(s, s->blocks_before[i], 1, -1);
	for (size_t i = s->used; !r && i < s->n; i++)
		r = qc_atomic_update_adjust(s, s->pool[i].v, 1, -1);
	return r;
}

static qc_err write_table(struct qc_atomic_update *s)
{
	const struct qc_refcounts *c = &s->w->alloc.refcounts;
	AUTO_FREE uint8_t *raw = malloc(c->entries * 8);

	if (!raw)
		return -ENOMEM;
	for (uint64_t i = 0; i < c->entries; i++)
		be64_to(raw + 8 * i, c->table[i]);
	return qc_file_write(s->w->file, s->table.v, raw, c->entries * 8);
}

/* Six fields that stand side by side. */
static qc_err write_header(struct qc_atomic_update *s)
{
	uint8_t head[HEAD_V2_BYTES];

	be32_to(head + HEAD_L1_ENTRIES, s->root.l1_entries);
	be64_to(head + HEAD_L1_OFFSET, s->root.l1_offset);
	be64_to(head + HEAD_REFTABLE_OFFSET, s->table.v);
	be32_to(head + HEAD_REFTABLE_CLUSTERS, (uint32_t)s->table_clusters);
	be32_to(head + HEAD_SNAPSHOTS, s->snapshots);
	be64_to(head + HEAD_SNAPSHOTS_OFFSET, s->snapshots_offset);
	return qc_writer_update_header(s->w, HEAD_L1_ENTRIES, head + HEAD_L1_ENTRIES,
				sizeof(head) - HEAD_L1_ENTRIES);
}

/* What the file does not name any more is forgotten, and free. */
UNCHECKED static void let_go(struct qc_atomic_update *s)
{
	for (size_t i = 0; i < s->freed.n; i++) {
		struct qc_free_extent o = s->freed.extent[i];

		qc_cache_invalidate(s->w->alloc.refcounts.blocks, o.off, o.len);
		qc_writer_on_cluster_freed(s->w, o.off, o.len);
		qc_alloc_note_free(&s->w->alloc, o.off);
	}
}

qc_err qc_atomic_update_commit(struct qc_atomic_update *s)
{
	struct qc_header *h = &s->w->layer->head;
	qc_err r = lower_unused(s);

	if (!r)
		r = qc_refcounts_write_blocks(&s->w->alloc.refcounts);
	if (!r)
		r = write_table(s);
	if (!r)
		r = qc_writer_sync(s->w);
	if (!r && FAIL_POINT("shadow.before-switch"))
		r = -EIO;
	if (!r)
		r = write_header(s);
	if (r)
		return r;
	s->committed = true;
	h->geom.l1_offset = s->root.l1_offset;
	h->geom.l1_entries = s->root.l1_entries;
	h->snapshots = s->snapshots;
	h->snapshots_offset = s->snapshots_offset;
	let_go(s);
	free(s->blocks_before);
	s->blocks_before = NULL;
	unlock_refcounts(s->w);
	return 0;
}

void qc_atomic_update_end(struct qc_atomic_update *s)
{
	struct qc_alloc *a = &s->w->alloc;
	bool keep = s->committed || s->w->aborted; /* the file may name them */

	for (size_t i = 0; !keep && i < s->n; i++)
		qc_alloc_cancel(a, s->pool[i], 1);
	for (size_t i = 0; !keep && i < s->runs.n; i++)
		qc_alloc_cancel(a, (struct hoff){ s->runs.extent[i].off },
			      s->runs.extent[i].len >> a->cluster_bits);
	if (!keep)
		undo_table(s);
	free(s->pool);
	free(s->runs.extent);
	free(s->freed.extent);
}
