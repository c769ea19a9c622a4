/* SPDX-License-Identifier: MIT */
/*
 * refcount.c - refcounts, the blocks that hold them, and the refcount table.
 *
 * A new block occupies the first free cluster of the area that it covers, and so holds its
 * own refcount.  No other block has to change for it, and it can be written at once.  Its
 * table entry is written later, after a sync.
 */
#include "metadata/refcount.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"

/* ---- refcounts in words ----------------------------------------------------- */

/* Returns the shift of refcount i in its 64-bit word.  Refcounts of less than a byte fill each
 * byte from its lowest bit on. */
static unsigned int refcount_shift(unsigned int order, uint64_t i)
{
	unsigned int bits = 1u << order, k = (unsigned int)(i % (64 / bits)), bit = k * bits;

	if (order >= 3)
		return 64 - bits - bit;
	return 56 - (bit & ~7u) + (bit & 7);
}

uint64_t qc_refcount_word_get(const struct be64 *words, unsigned int order, uint64_t i)
{
	return be64_get(&words[i >> (6 - order)]) >> refcount_shift(order, i) &
	       qc_refcount_max(order);
}

void qc_refcount_word_set(struct be64 *words, unsigned int order, uint64_t i, uint64_t value)
{
	struct be64 *word = &words[i >> (6 - order)];
	unsigned int shift = refcount_shift(order, i);
	uint64_t mask = qc_refcount_max(order) << shift;

	be64_put(word, (be64_get(word) & ~mask) | value << shift);
}

/* ---- offsets -------------------------------------------------------------- */

static uint64_t refcount_cluster_bytes(const struct qc_refcounts *r)
{
	return UINT64_C(1) << r->cluster_bits;
}

static uint64_t find_block(const struct qc_refcounts *r, uint64_t cluster)
{
	uint64_t i = cluster >> qc_refcounts_block_bits(r);

	return i < r->entries ? r->table[i] : 0;
}

/* Returns the offset of the slice that holds the refcount, and its index in there. */
static uint64_t find_refcount_slice(const struct qc_refcounts *r, uint64_t block, uint64_t cluster,
				    uint64_t *index)
{
	uint64_t per_slice = (uint64_t)r->slice_bytes * 8 >> r->order;
	uint64_t in_block = cluster & ((UINT64_C(1) << qc_refcounts_block_bits(r)) - 1);

	*index = in_block % per_slice;
	return block + in_block / per_slice * r->slice_bytes;
}

/* ---- open ----------------------------------------------------------------- */

/* A block behind the end of the file would become another cluster. */
static bool is_block_offset_valid(const struct qc_refcounts *r, uint64_t off, uint64_t file_bytes)
{
	return !(off & (refcount_cluster_bytes(r) - 1)) && (!off || off < file_bytes);
}

static qc_err read_refcount_table(struct qc_refcounts *r, qc_reftable_invalid_fn *invalid,
				  void *arg, struct qc_reason *why)
{
	size_t bytes = r->entries * 8, got;
	AUTO_FREE uint8_t *raw = malloc(bytes + 1);
	struct qc_file_stat now;
	qc_err e = qc_file_stat(r->file, &now);

	r->table = calloc(r->entries + 1, sizeof(*r->table));
	if (!raw || !r->table)
		return qc_fail(why, -ENOMEM, "out of memory");
	if (!e && bytes) /* no read at an impossible offset */
		e = qc_file_read(r->file, r->table_offset, raw, bytes, &got);
	if (e || (!r->entries && !invalid))
		return qc_fail_errno(why, e ? e : -EINVAL, "cannot read the refcount table");
	for (uint64_t i = 0; i < r->entries; i++) {
		uint64_t off = be64_at(raw + 8 * i);
		bool valid = is_block_offset_valid(r, off, now.size);

		r->table[i] = valid ? off : 0;
		r->is_damaged = r->is_damaged || !valid;
		if (valid)
			continue;
		if (!invalid)
			return qc_fail(why, -EINVAL, "refcount table entry %" PRIu64 " is damaged "
				       "(qcowfs check -r all may rebuild the table)", i);
		invalid(arg, i, off);
	}
	return 0;
}

qc_err qc_refcounts_open_damaged(struct qc_refcounts *r, struct qc_file *f,
				 const struct qc_header *h, struct qc_budget *budget,
				 qc_reftable_invalid_fn *invalid, void *arg, struct qc_reason *why)
{
	uint64_t cs = geom_cluster(&h->geom);
	qc_err e;

	*r = (struct qc_refcounts){
		.file = f,
		.cluster_bits = h->geom.cluster_bits,
		.order = h->refcount_order,
		.slice_bytes = (uint32_t)min_u64(cs, QC_SLICE_MAX),
		.table_offset = h->reftable_offset,
		.entries = h->reftable_clusters * cs / 8,
		.is_damaged = !h->reftable_clusters,
	};
	e = read_refcount_table(r, invalid, arg, why);
	if (e)
		return e;
	e = qc_cache_new(f, r->slice_bytes, cs, (r->entries + 64) * (cs / r->slice_bytes), budget,
			 &r->blocks);
	return e ? qc_fail(why, e, "out of memory") : 0;
}

qc_err qc_refcounts_open(struct qc_refcounts *r, struct qc_file *f, const struct qc_header *h,
			 struct qc_budget *budget, struct qc_reason *why)
{
	return qc_refcounts_open_damaged(r, f, h, budget, NULL, NULL, why);
}

void qc_refcounts_close(struct qc_refcounts *r)
{
	qc_cache_free(r->blocks);
	free(r->table);
	*r = (struct qc_refcounts){ 0 };
}

/* ---- errors --------------------------------------------------------------- */

/* Reports -EIO, which a caller could not explain.  Returns @e. */
static qc_err report_refcount_error(const struct qc_refcounts *r, qc_err e, const char *object,
				    uint64_t off, const char *problem)
{
	if (e == -EIO && r->report_damage)
		r->report_damage(r->report_arg, object, off, problem);
	return e;
}

/* ---- get and add ---------------------------------------------------------- */

qc_err qc_refcounts_get(struct qc_refcounts *r, uint64_t cluster, uint64_t *count)
{
	uint64_t block = find_block(r, cluster), index, slice;
	struct qc_slice_view v;
	qc_err e;

	*count = 0;
	if (!block)
		return 0;
	slice = find_refcount_slice(r, block, cluster, &index);
	do {
		e = qc_cache_view(r->blocks, slice, &v);
		if (e)
			return report_refcount_error(r, e, "refcount block", block, "cannot read");
		*count = qc_refcount_word_get(v.words, r->order, index);
	} while (!qc_slice_view_valid(&v));
	return 0;
}

struct count_change {
	unsigned int order;
	uint64_t index, to; /* `to` counts if by is 0 */
	int by;
	qc_err result;
};

/* A qc_cache_modify_fn. */
static void apply_count_change(void *arg, struct be64 *words)
{
	struct count_change *c = arg;
	uint64_t now = qc_refcount_word_get(words, c->order, c->index);

	if (!c->by)
		qc_refcount_word_set(words, c->order, c->index, c->to);
	else if (c->by > 0 && now == qc_refcount_max(c->order))
		c->result = -EOVERFLOW;
	else if (c->by < 0 && !now)
		c->result = QC_REFCOUNT_UNDERFLOW;
	else
		qc_refcount_word_set(words, c->order, c->index, now + (uint64_t)c->by);
}

static qc_err change_refcount(struct qc_refcounts *r, uint64_t cluster, struct count_change *c)
{
	uint64_t block = find_block(r, cluster), slice;
	qc_err e;

	if (!block)
		return report_refcount_error(r, -EIO, "cluster", cluster << r->cluster_bits,
					     "no refcount block covers it");
	slice = find_refcount_slice(r, block, cluster, &c->index);
	e = qc_cache_modify(r->blocks, slice, apply_count_change, c);
	if (e == QC_RETRY_CHECKPOINT) {
		e = qc_refcounts_write_blocks(r);
		if (!e)
			e = qc_cache_modify(r->blocks, slice, apply_count_change, c);
		assert(e != QC_RETRY_CHECKPOINT); /* the lock lets no other thread dirty a block */
	}
	return e ? report_refcount_error(r, e, "refcount block", block, "cannot read or write") : c->result;
}

qc_err qc_refcounts_add(struct qc_refcounts *r, uint64_t cluster, int by)
{
	struct count_change c = { .order = r->order, .by = by };

	return change_refcount(r, cluster, &c);
}

qc_err qc_refcounts_set(struct qc_refcounts *r, uint64_t cluster, uint64_t count)
{
	struct count_change c = { .order = r->order, .to = count };

	if (count > qc_refcount_max(r->order))
		return -EOVERFLOW;
	return change_refcount(r, cluster, &c);
}

/* ---- new blocks, larger tables -------------------------------------------- */

/* Writes a new block for an area.  Those of the clusters [first, first + n) that are in the
 * area get the refcount 1, all others 0. */
static qc_err write_new_block(struct qc_refcounts *r, uint64_t offset, uint64_t area,
			      uint64_t first, uint64_t n)
{
	uint64_t words = refcount_cluster_bytes(r) / 8;
	uint64_t per_block = UINT64_C(1) << qc_refcounts_block_bits(r);
	AUTO_FREE struct be64 *block = calloc(words, sizeof(*block));

	if (!block)
		return -ENOMEM;
	for (uint64_t c = first; c < first + n; c++)
		if (c >> qc_refcounts_block_bits(r) == area)
			qc_refcount_word_set(block, r->order, c % per_block, 1);
	return qc_file_write(r->file, offset, block, refcount_cluster_bytes(r));
}

static void mark_table_entry_dirty(struct qc_refcounts *r, uint64_t i)
{
	if (!r->table_dirty) {
		r->dirty_first = i;
		r->dirty_end = i + 1;
	}
	r->dirty_first = min_u64(r->dirty_first, i);
	r->dirty_end = max_u64(r->dirty_end, i + 1);
	r->table_dirty = true;
}

static qc_err write_table_entries(struct qc_refcounts *r, const uint64_t *entry, uint64_t table,
				  uint64_t first, uint64_t n)
{
	AUTO_FREE uint8_t *raw = malloc(n * 8);

	if (!raw)
		return -ENOMEM;
	for (uint64_t i = 0; i < n; i++)
		be64_to(raw + 8 * i, entry[i]);
	return qc_file_write(r->file, table + first * 8, raw, n * 8);
}

static qc_err sync_or_abort(struct qc_refcounts *r)
{
	qc_err e = qc_file_sync(r->file);

	if (e && r->aborted)
		atomic_store(r->aborted, true);
	return e;
}

/* Writes blocks for the clusters from `start` on, which are free, and behind them a larger
 * table, which these blocks cover.  Then makes the header refer to that table. */
static qc_err switch_to_larger_table(struct qc_refcounts *r, uint64_t *table, uint64_t entries,
				     uint64_t start, uint64_t nblocks, uint64_t nclusters)
{
	uint64_t offset = (start + nblocks) << r->cluster_bits;
	uint8_t head[12];
	qc_err e = 0;

	for (uint64_t b = 0; !e && b < nblocks; b++) {
		table[r->entries + b] = (start + b) << r->cluster_bits;
		e = write_new_block(r, table[r->entries + b], r->entries + b, start,
				    nblocks + nclusters);
	}
	if (!e)
		e = write_table_entries(r, table, offset, 0, entries);
	if (!e)
		e = sync_or_abort(r);
	be64_to(head, offset);
	be32_to(head + 8, (uint32_t)nclusters);
	if (!e)
		e = qc_file_write(r->file, HEAD_REFTABLE_OFFSET, head, sizeof(head));
	return e ? e : sync_or_abort(r);
}

/* Makes the table reach at least `area`.  The new table and its blocks begin behind the last
 * cluster that the old table could cover. */
static qc_err grow_refcount_table(struct qc_refcounts *r, uint64_t area, uint64_t *first_free)
{
	uint64_t cs = refcount_cluster_bytes(r), old_clusters = r->entries * 8 / cs;
	uint64_t old = r->table_offset >> r->cluster_bits;
	uint64_t start = r->entries << qc_refcounts_block_bits(r), nblocks = 1, entries, nclusters;
	struct qc_file_stat now;
	uint64_t *table;
	qc_err e = qc_file_stat(r->file, &now);

	/* Clusters there have no refcount, and would be overwritten. */
	if (!e && now.size > start << r->cluster_bits)
		e = report_refcount_error(r, -EIO, "refcount table", r->table_offset,
					  "it covers less than the whole file");
	if (e)
		return e;
	nclusters = div_up(max_u64(r->entries + r->entries / 2, area + 2) * 8, cs);
	while (nblocks << qc_refcounts_block_bits(r) < nblocks + nclusters)
		nblocks++;
	nclusters = max_u64(nclusters, div_up((r->entries + nblocks) * 8, cs));
	while (nblocks << qc_refcounts_block_bits(r) < nblocks + nclusters)
		nblocks++;
	entries = nclusters * cs / 8;
	if (nclusters * cs > REFTABLE_BYTES_MAX || entries < r->entries + nblocks)
		return -EFBIG;
	table = calloc(entries, sizeof(*table));
	if (!table)
		return -ENOMEM;
	memcpy(table, r->table, r->entries * sizeof(*table));
	e = switch_to_larger_table(r, table, entries, start, nblocks, nclusters);
	if (e) {
		free(table);
		return e;
	}
	free(r->table);
	r->table = table;
	r->table_offset = (start + nblocks) << r->cluster_bits;
	r->entries = entries;
	r->table_dirty = false;
	*first_free = start + nblocks + nclusters;
	for (uint64_t i = 0; !e && i < old_clusters; i++)
		e = qc_refcounts_add(r, old + i, -1);
	return e == QC_REFCOUNT_UNDERFLOW ? 0 : e; /* too low before, and right now */
}

qc_err qc_refcounts_ensure_block(struct qc_refcounts *r, uint64_t cluster, uint64_t *taken)
{
	uint64_t area = cluster >> qc_refcounts_block_bits(r), free_from = 0;
	qc_err e = 0;

	*taken = 0;
	if (area >= r->entries)
		e = grow_refcount_table(r, area, &free_from);
	if (e)
		return e;
	if (free_from > cluster) {
		*taken = free_from - cluster;
		return 0;
	}
	if (r->table[area])
		return 0;
	e = write_new_block(r, cluster << r->cluster_bits, area, cluster, 1);
	if (e)
		return e;
	r->table[area] = cluster << r->cluster_bits;
	mark_table_entry_dirty(r, area);
	*taken = 1;
	return 0;
}

qc_err qc_refcounts_add_block(struct qc_refcounts *r, uint64_t cluster, uint64_t block)
{
	uint64_t area = cluster >> qc_refcounts_block_bits(r);
	qc_err e;

	if (area >= r->entries)
		return -EFBIG;
	e = write_new_block(r, block << r->cluster_bits, area, 0, 0);
	if (e)
		return e;
	r->table[area] = block << r->cluster_bits;
	mark_table_entry_dirty(r, area);
	return 0;
}

/* ---- writing -------------------------------------------------------------- */

qc_err qc_refcounts_write_blocks(struct qc_refcounts *r)
{
	struct qc_dirty_slices dirty;
	qc_err e = qc_cache_writeback_begin(r->blocks, &dirty);

	for (size_t i = 0; !e && i < dirty.n; i++)
		e = report_refcount_error(r, qc_file_write(r->file, dirty.slice[i].offset,
							   dirty.slice[i].bytes, r->slice_bytes),
					  "refcount block", dirty.slice[i].offset, "cannot write");
	qc_cache_writeback_end(r->blocks, &dirty, !e);
	return e;
}

qc_err qc_refcounts_take_table_entries(struct qc_refcounts *r, struct qc_reftable_update *out)
{
	uint64_t n = r->dirty_end - r->dirty_first;

	*out = (struct qc_reftable_update){ NULL, r->dirty_first, n, r->table_offset };
	if (!r->table_dirty)
		return 0;
	out->entry = malloc(n * sizeof(*out->entry));
	if (!out->entry)
		return -ENOMEM;
	memcpy(out->entry, r->table + r->dirty_first, n * sizeof(*out->entry));
	r->table_dirty = false;
	return 0;
}

qc_err qc_refcounts_write_table_entries(struct qc_refcounts *r, struct qc_reftable_update *update,
					bool write)
{
	qc_err e = 0;

	/* A table that has moved since then was written with all its entries. */
	if (update->entry && update->table_offset == r->table_offset) {
		if (write)
			e = write_table_entries(r, update->entry, update->table_offset,
						update->first, update->n);
		if (!write || e) {
			mark_table_entry_dirty(r, update->first);
			mark_table_entry_dirty(r, update->first + update->n - 1);
		}
	}
	free(update->entry);
	update->entry = NULL;
	return e;
}
