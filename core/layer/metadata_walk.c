/* SPDX-License-Identifier: MIT */
#include "layer/metadata_walk.h"

#include <errno.h>

#include "base/range.h"
#include "format/bitmap_directory.h"
#include "format/snapshot_table.h"
#include "layer/table_limit.h"
#include "layer/table_prefetch.h"

enum { CHUNK_BYTES = 64 * 1024 };

struct walk {
	const struct qc_metadata *md;
	const struct geom *g;
	qc_metadata_fn *fn;
	void *arg;
	unsigned int flags;
	uint64_t file_bytes, file_end; /* rounded up: the last cluster need not be whole */
	bool in_snapshot;
};

static qc_err visit(const struct walk *w, enum qc_metadata_kind kind, uint64_t off, uint64_t len)
{
	struct qc_metadata_item item = {
		.kind = kind, .in_snapshot = w->in_snapshot, .off = off, .len = len
	};

	return len ? w->fn(w->arg, &item) : 0;
}

static qc_err visit_invalid(const struct walk *w, enum qc_metadata_kind kind, uint64_t off)
{
	struct qc_metadata_item item = {
		.kind = kind, .invalid = true, .in_snapshot = w->in_snapshot, .off = off
	};

	return w->fn(w->arg, &item);
}

/* ---- reading tables --------------------------------------------------------- */

qc_err qc_metadata_copy_table(const struct qc_metadata *md, uint64_t off, uint8_t *buf,
			      uint64_t len)
{
	uint64_t slice = min_u64(geom_l2_bytes(&md->head->geom), QC_SLICE_MAX);
	size_t got;

	if (!md->tables)
		return len ? qc_file_read(md->file, off, buf, len, &got) : 0;
	for (uint64_t at = 0; at < len; at += slice) {
		struct qc_slice_view v;

		do {
			qc_err r = qc_cache_view(md->tables, off + at, &v);

			if (r)
				return r;
			for (uint64_t i = 0; i < min_u64(slice, len - at); i += 8)
				be64_bytes(&v.words[i / 8], buf + at + i);
		} while (!qc_slice_view_valid(&v));
	}
	return 0;
}

qc_err qc_metadata_read_l1(const struct qc_metadata *md, uint8_t **out)
{
	const struct geom *g = &md->head->geom;
	uint64_t bytes = g->l1_entries * UINT64_C(8);
	qc_err r;

	*out = malloc(bytes + 1);
	if (!*out)
		return -ENOMEM;
	r = qc_metadata_copy_table(md, g->l1_offset, *out, bytes);
	if (r) {
		free(*out);
		*out = NULL;
	}
	return r;
}

/* ---- L1 and L2 tables ------------------------------------------------------- */

static qc_err visit_l2(const struct walk *w, const struct qc_l1_table *l1, const uint8_t *l1_bytes,
		       uint64_t i, uint8_t *l2)
{
	struct qc_metadata_item item = {
		.kind = QC_METADATA_L2_TABLE,
		.in_snapshot = w->in_snapshot,
		.entry_off = l1->l1_offset,
		.index = i,
		.entry = be64_at(l1_bytes + 8 * i),
		.len = geom_l2_bytes(w->g),
		.bytes = l2,
	};
	struct hoff table;
	size_t got;
	qc_err r = 0;

	item.invalid = l1_decode(w->g, item.entry, &table);
	item.off = table.v;
	if (!item.invalid && !table.v)
		return 0;
	if (item.invalid && !(w->flags & QC_WALK_DAMAGED && range_inside(table.v, item.len, INT64_MAX)))
		item.bytes = NULL;
	if (item.bytes) /* zeros behind the end of the file */
		r = qc_file_read(w->md->file, table.v, l2, item.len, &got);
	return r ? r : w->fn(w->arg, &item);
}

static qc_err visit_excessive(const struct walk *w, uint64_t l1_offset)
{
	struct qc_metadata_item item = {
		.kind = QC_METADATA_L1_TABLE, .invalid = true, .excessive = true,
		.in_snapshot = w->in_snapshot, .off = l1_offset
	};

	return w->fn(w->arg, &item);
}

static qc_err walk_l2(const struct walk *w, const struct qc_l1_table *l1, const uint8_t *bytes)
{
	struct qc_table_prefetch ahead = { w->md, bytes, l1->l1_entries, 0 };
	struct qc_table_limit limit;
	AUTO_FREE uint8_t *l2 = NULL;
	qc_err r = qc_table_limit_find(w->g, w->file_end, bytes, l1->l1_entries, &limit);

	if (!r && w->flags & QC_WALK_READ_L2) {
		l2 = malloc(geom_l2_bytes(w->g));
		if (!l2)
			return -ENOMEM;
	}
	for (uint64_t i = 0; !r && i < l1->l1_entries; i++) {
		if (!be64_at(bytes + 8 * i))
			continue;
		if (!limit.most--)
			return visit_excessive(w, l1->l1_offset);
		if (l2)
			qc_table_prefetch(&ahead, i);
		r = visit_l2(w, l1, bytes, i, l2);
	}
	return r;
}

static qc_err begin_walk(struct walk *w, const struct qc_metadata *md, unsigned int flags,
			 qc_metadata_fn *fn, void *arg)
{
	struct qc_file_stat now;
	qc_err r = qc_file_stat(md->file, &now);

	*w = (struct walk){ .md = md, .g = &md->head->geom, .fn = fn, .arg = arg, .flags = flags };
	w->file_bytes = r ? 0 : now.size;
	w->file_end = round_up(w->file_bytes, geom_cluster(w->g));
	return r;
}

qc_err qc_metadata_for_each_l2(const struct qc_metadata *md, const struct qc_l1_table *l1,
			       const uint8_t *bytes, unsigned int flags, qc_metadata_fn *fn,
			       void *arg)
{
	struct walk w;
	qc_err r = begin_walk(&w, md, flags, fn, arg);

	return r ? r : walk_l2(&w, l1, bytes);
}

static qc_err walk_active(const struct walk *w)
{
	struct qc_l1_table l1 = { .l1_offset = w->g->l1_offset, .l1_entries = w->g->l1_entries };
	AUTO_FREE uint8_t *bytes = NULL;
	qc_err r = qc_metadata_read_l1(w->md, &bytes);

	if (!r)
		r = visit(w, QC_METADATA_L1_TABLE, l1.l1_offset, l1.l1_entries * UINT64_C(8));
	return r ? r : walk_l2(w, &l1, bytes);
}

/* ---- refcounts -------------------------------------------------------------- */

static uint64_t read_block_offset(const struct qc_metadata *md, uint64_t i)
{
	uint64_t off;

	qc_metadata_lock(md); /* the table may grow, and move, at any time */
	off = i < md->refcounts->entries ? md->refcounts->table[i] : 0;
	qc_metadata_unlock(md);
	return off;
}

static qc_err walk_refcounts(const struct walk *w)
{
	const struct qc_refcounts *c = w->md->refcounts;
	qc_err r;

	if (!c)
		return 0;
	r = visit(w, QC_METADATA_REFCOUNT_TABLE, c->table_offset, c->entries * 8);
	for (uint64_t i = 0; !r && i < c->entries; i++) {
		struct qc_metadata_item item = {
			.kind = QC_METADATA_REFCOUNT_BLOCK,
			.off = read_block_offset(w->md, i),
			.len = geom_cluster(w->g),
			.entry_off = c->table_offset,
			.index = i,
		};

		item.entry = item.off;
		if (item.off)
			r = w->fn(w->arg, &item);
	}
	return r;
}

/* ---- snapshots -------------------------------------------------------------- */

static qc_err walk_snapshot(const struct walk *w, const struct qc_snapshot *s)
{
	struct qc_l1_table l1 = { .l1_offset = s->l1_offset, .l1_entries = s->l1_entries };
	uint64_t bytes = s->l1_entries * UINT64_C(8);
	AUTO_FREE uint8_t *l1_bytes = NULL;
	size_t got;
	qc_err r;

	if (!qc_snapshot_entry_is_valid(s, geom_cluster(w->g), w->file_end))
		return visit_invalid(w, QC_METADATA_L1_TABLE, s->l1_offset);
	l1_bytes = malloc(bytes + 1);
	if (!l1_bytes)
		return -ENOMEM;
	r = qc_file_read(w->md->file, s->l1_offset, l1_bytes, bytes, &got);
	if (!r)
		r = visit(w, QC_METADATA_L1_TABLE, s->l1_offset, bytes);
	return r ? r : walk_l2(w, &l1, l1_bytes);
}

static qc_err walk_snapshots(struct walk *w)
{
	const struct qc_header *h = w->md->head;
	struct qc_snapshot_table t;
	qc_err r = qc_snapshot_table_read(w->md->file, h->snapshots_offset, h->snapshots, h->size, &t);

	if (r == -EIO || r == -EINVAL)
		return visit_invalid(w, QC_METADATA_SNAPSHOT_TABLE, h->snapshots_offset);
	if (!r && t.n)
		r = visit(w, QC_METADATA_SNAPSHOT_TABLE, h->snapshots_offset, t.len);
	w->in_snapshot = true;
	for (uint32_t i = 0; !r && i < t.n; i++)
		r = walk_snapshot(w, &t.entry[i].s);
	w->in_snapshot = false;
	qc_snapshot_table_free(&t);
	return r;
}

/* ---- bitmaps ---------------------------------------------------------------- */

static qc_err visit_bitmap_data(const struct walk *w, uint64_t table, uint64_t i, uint64_t entry)
{
	struct qc_metadata_item item = {
		.kind = QC_METADATA_BITMAP_DATA,
		.invalid = !qc_bitmaps_is_table_entry_valid(w->g, entry),
		.off = entry & L1_OFFSET_MASK,
		.len = geom_cluster(w->g),
		.entry_off = table,
		.index = i,
		.entry = entry,
	};

	return item.invalid || item.off ? w->fn(w->arg, &item) : 0;
}

static qc_err walk_bitmap(const struct walk *w, const struct qc_bitmap *b)
{
	uint64_t len = b->table_entries * UINT64_C(8);
	AUTO_FREE uint8_t *chunk = malloc(CHUNK_BYTES);
	qc_err r;

	if (!chunk)
		return -ENOMEM;
	if (!range_inside(b->table_offset, len, w->file_end))
		return visit_invalid(w, QC_METADATA_BITMAP_TABLE, b->table_offset);
	r = visit(w, QC_METADATA_BITMAP_TABLE, b->table_offset, len);
	for (uint64_t at = 0; !r && at < len; at += CHUNK_BYTES) {
		size_t n = (size_t)min_u64(len - at, CHUNK_BYTES), got;

		r = qc_file_read(w->md->file, b->table_offset + at, chunk, n, &got);
		for (size_t i = 0; !r && i < n; i += 8)
			r = visit_bitmap_data(w, b->table_offset, (at + i) / 8, be64_at(chunk + i));
	}
	return r;
}

static qc_err visit_damaged_directory(const struct walk *w, qc_err reason)
{
	const struct qc_header *h = w->md->head;
	struct qc_metadata_item item = {
		.kind = QC_METADATA_BITMAP_DIRECTORY, .invalid = true, .off = h->bitmaps_offset,
		.unreadable = reason == -EIO &&
			      range_inside(h->bitmaps_offset, h->bitmaps_bytes, w->file_bytes),
	};

	return w->fn(w->arg, &item);
}

static qc_err walk_bitmaps(const struct walk *w)
{
	const struct qc_header *h = w->md->head;
	uint64_t tables = 0;
	struct qc_bitmaps b;
	qc_err r;

	if (!h->bitmaps)
		return 0;
	r = qc_bitmaps_read(w->md->file, h, &b);
	if (r && r != -ENOMEM)
		r = visit_damaged_directory(w, r);
	else if (!r)
		r = visit(w, QC_METADATA_BITMAP_DIRECTORY, h->bitmaps_offset, h->bitmaps_bytes);
	for (size_t i = 0; !r && i < b.n; i++) {
		/* Tables of more bytes than the file has would take forever to read. */
		tables += b.at[i].table_entries * UINT64_C(8);
		r = tables > w->file_end ?
			    visit_invalid(w, QC_METADATA_BITMAP_TABLE, b.at[i].table_offset) :
			    walk_bitmap(w, &b.at[i]);
	}
	qc_bitmaps_free(&b);
	return r;
}

/* ----------------------------------------------------------------------------- */

qc_err qc_metadata_for_each(const struct qc_metadata *md, unsigned int flags, qc_metadata_fn *fn,
			    void *arg)
{
	struct walk w;
	qc_err r = begin_walk(&w, md, flags, fn, arg);

	if (!r)
		r = visit(&w, QC_METADATA_HEADER, 0,
			  w.g->layout == LAYOUT_V1 ? HEAD1_BYTES : geom_cluster(w.g));
	if (!r)
		r = walk_active(&w);
	if (!r && md->head->crypt == CRYPT_LUKS)
		r = visit(&w, QC_METADATA_LUKS_HEADER, md->head->luks_offset, md->head->luks_bytes);
	if (!r)
		r = walk_refcounts(&w);
	if (!r)
		r = walk_snapshots(&w);
	return r || !(md->head->autoclear & AUTOCLEAR_BITMAPS) ? r : walk_bitmaps(&w);
}

qc_err qc_metadata_for_each_bitmap(const struct qc_metadata *md, qc_metadata_fn *fn, void *arg)
{
	struct walk w;
	qc_err r = begin_walk(&w, md, 0, fn, arg);

	return r ? r : walk_bitmaps(&w);
}

qc_err qc_metadata_for_bitmap(const struct qc_metadata *md, const struct qc_bitmap *b,
			      qc_metadata_fn *fn, void *arg)
{
	struct walk w;
	qc_err r = begin_walk(&w, md, 0, fn, arg);

	return r ? r : walk_bitmap(&w, b);
}

qc_err qc_metadata_fix_copied(const struct qc_metadata *md, uint8_t *table, uint64_t first,
			      uint64_t n, bool may_clear, uint64_t *changed)
{
	const struct geom *g = &md->head->geom;
	qc_err r = 0;

	if (g->external || !md->refcounts) /* their COPIED means something else, or nothing */
		return 0;
	for (uint64_t i = first; !r && i < first + n; i++) {
		struct l2_entry e;
		uint64_t count;

		if (l2_entry_at(g, table, i, &e) || e.kind == QC_COMPRESSED || !e.host.v)
			continue;
		r = qc_metadata_refcount(md, e.host.v, &count);
		if (r || e.copied == (count == 1) || (e.copied && !may_clear))
			continue;
		l2_entry_set_copied(g, table, i, count == 1);
		++*changed;
	}
	return r;
}
