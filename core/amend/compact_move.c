/* SPDX-License-Identifier: MIT */
#include "amend/compact_move.h"

#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/range.h"
#include "crypto/encrypted_io.h"
#include "format/bitmap_directory.h"
#include "format/l2_entry.h"
#include "format/snapshot_table.h"
#include "update/abort.h"
#include "update/checkpoint.h"

enum { COPY_BYTES = 1 << 20 };

struct move {
	struct qc_compact_plan *p;
	struct qc_writer *w;
	const struct geom *g;
};

/* ---- copies ------------------------------------------------------------------------ */

static qc_err copy_bytes(struct move *m, uint64_t from, uint64_t to, uint8_t *buf, uint64_t len)
{
	size_t got;
	qc_err r = 0;

	for (uint64_t at = 0; !r && at < len; at += COPY_BYTES) {
		size_t n = (size_t)min_u64(len - at, COPY_BYTES);

		r = qc_file_read(m->w->file, from + at, buf, n, &got);
		if (!r)
			r = qc_file_write(m->w->file, to + at, buf, n);
	}
	return r;
}

/* LUKS encrypts each sector for its host offset, so data is encrypted anew. */
static qc_err copy_data(struct move *m, uint64_t from, uint64_t to, uint8_t *buf, uint64_t len)
{
	struct qc_crypt_state *crypt = m->w->layer->crypt;
	struct goff guest = { 0 }; /* not used */
	size_t got;
	qc_err r = 0;

	if (!crypt || crypt->iv_from_guest_offset)
		return copy_bytes(m, from, to, buf, len);
	for (uint64_t at = 0; !r && at < len; at += COPY_BYTES) {
		size_t n = (size_t)min_u64(len - at, COPY_BYTES);

		r = qc_encrypted_read(crypt, m->w->file, guest, (struct hoff){ from + at }, buf, n, &got);
		if (!r)
			r = qc_encrypted_write(crypt, m->w->file, guest, (struct hoff){ to + at }, buf, n);
	}
	return r;
}

static qc_err copy_singles(struct move *m, uint8_t *buf, qc_compact_stop_fn *stop, void *arg)
{
	const struct qc_compact_plan *p = m->p;
	uint64_t cs = geom_cluster(m->g);
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < p->n; i++) {
		uint64_t run = 1;

		if (!p->to[i])
			continue;
		while (i + run < p->n && run * cs < COPY_BYTES && p->kind[i] == p->kind[i + run] &&
		       p->to[i + run] == p->to[i] + run * cs)
			run++;
		if (stop && stop(arg))
			return -ECANCELED;
		if (p->kind[i] == QC_COMPACT_DATA)
			r = copy_data(m, (p->lo + i) * cs, p->to[i], buf, run * cs);
		else
			r = copy_bytes(m, (p->lo + i) * cs, p->to[i], buf, run * cs);
		i += run - 1;
	}
	return r;
}

static qc_err copy_all(struct move *m, qc_compact_stop_fn *stop, void *arg)
{
	AUTO_FREE uint8_t *buf = malloc(COPY_BYTES);
	qc_err r = buf ? copy_singles(m, buf, stop, arg) : -ENOMEM;

	for (size_t i = 0; !r && i < m->p->ncompressed; i++) {
		const struct qc_compact_compressed *x = &m->p->compressed[i];

		if (x->to)
			r = copy_bytes(m, x->from, x->to, buf, x->len);
	}
	return r ? r : qc_writer_sync(m->w);
}

/* ---- tables -------------------------------------------------------------------------- */

/* Writes a changed table, and its copy if it moves. */
static qc_err write_both_tables(struct move *m, uint64_t off, const uint8_t *bytes, uint64_t len,
			  bool changed)
{
	uint64_t to = qc_compact_plan_relocate(m->p, off);
	qc_err r = 0;

	if (changed)
		r = qc_file_write(m->w->file, off, bytes, len);
	if (!r && to != off)
		r = qc_file_write(m->w->file, to, bytes, len);
	qc_cache_invalidate(m->w->layer->tables, off, len);
	return r;
}

static bool relocate_entry(struct move *m, struct l2_entry *e)
{
	const struct qc_compact_compressed *x;
	uint64_t old = e->host.v;

	if (e->kind == QC_COMPRESSED) {
		x = qc_compact_plan_compressed_at(m->p, e->host.v);
		if (x) {
			e->host.v = x->to;
			e->compressed_len = x->len;
		}
	} else if (e->host.v) {
		e->host.v = qc_compact_plan_relocate(m->p, e->host.v);
	}
	return e->host.v != old;
}

static qc_err relocate_l2_table(void *arg, struct qc_metadata_item *item)
{
	struct move *m = arg;
	bool changed = false;
	qc_err r = 0;

	if (item->kind != QC_METADATA_L2_TABLE)
		return 0;
	for (uint64_t i = 0; !r && !m->g->external && i < UINT64_C(1) << m->g->l2_bits; i++) {
		struct l2_entry e;

		r = l2_entry_at(m->g, item->bytes, i, &e);
		if (r || !relocate_entry(m, &e))
			continue;
		changed = true;
		l2_entry_put(m->g, item->bytes, i, l2_entry_encode(m->g, &e));
	}
	return r ? r : write_both_tables(m, item->off, item->bytes, item->len, changed);
}

/* Relocates the offsets that @mask selects in each of the entries of 8 bytes. */
static bool relocate_words(struct move *m, uint8_t *bytes, uint64_t len, uint64_t mask)
{
	bool changed = false;

	for (uint64_t at = 0; at + 8 <= len; at += 8) {
		uint64_t old = be64_at(bytes + at);
		uint64_t now = (old & ~mask) | qc_compact_plan_relocate(m->p, old & mask);

		changed = changed || now != old;
		be64_to(bytes + at, now);
	}
	return changed;
}

/* Relocates the entries of an L1 table or a bitmap table. */
static qc_err relocate_table(struct move *m, uint64_t off, uint64_t len)
{
	AUTO_FREE uint8_t *bytes = malloc(len + 1);
	size_t got;
	qc_err r;

	if (!len)
		return 0;
	if (!bytes)
		return -ENOMEM;
	r = qc_file_read(m->w->file, off, bytes, len, &got);
	if (r)
		return r;
	return write_both_tables(m, off, bytes, len, relocate_words(m, bytes, len, L1_OFFSET_MASK));
}

static qc_err relocate_first_level(void *arg, struct qc_metadata_item *item)
{
	struct move *m = arg;

	if (item->kind != QC_METADATA_L1_TABLE && item->kind != QC_METADATA_BITMAP_TABLE)
		return 0;
	return relocate_table(m, item->off, item->len);
}

/* ---- tables of tables ------------------------------------------------------------------ */

static qc_err relocate_snapshot_table(struct move *m)
{
	const struct qc_header *h = &m->w->layer->head;
	struct qc_snapshot_table t;
	bool changed = false;
	qc_err r = qc_snapshot_table_read(m->w->file, h->snapshots_offset, h->snapshots, h->size, &t);

	if (r)
		return r;
	for (uint32_t i = 0; i < t.n; i++) /* the L1 offset is the first field of an entry */
		changed = relocate_words(m, t.bytes + t.entry[i].at, 8, UINT64_MAX) || changed;
	if (t.n)
		r = write_both_tables(m, h->snapshots_offset, t.bytes, t.len, changed);
	qc_snapshot_table_free(&t);
	return r;
}

static bool has_valid_bitmaps(const struct qc_header *h)
{
	return h->bitmaps && h->autoclear & AUTOCLEAR_BITMAPS;
}

/* Returns the bytes of the entry of a bitmap directory at @p, with its padding. */
static uint64_t directory_entry_bytes(const uint8_t *p)
{
	return round_up(24 + be32_at(p + 20) + be16_at(p + 18), 8);
}

/* The table's offset is the first field of an entry.  The directory was checked by the walk. */
static qc_err relocate_bitmap_directory(struct move *m)
{
	const struct qc_header *h = &m->w->layer->head;
	AUTO_FREE uint8_t *bytes = NULL;
	bool changed = false;
	size_t got;
	qc_err r;

	if (!has_valid_bitmaps(h))
		return 0;
	bytes = calloc(1, h->bitmaps_bytes + 24);
	if (!bytes)
		return -ENOMEM;
	r = qc_file_read(m->w->file, h->bitmaps_offset, bytes, h->bitmaps_bytes, &got);
	if (r)
		return r;
	for (uint64_t at = 0; at + 24 <= h->bitmaps_bytes; at += directory_entry_bytes(bytes + at))
		changed = relocate_words(m, bytes + at, 8, UINT64_MAX) || changed;
	return write_both_tables(m, h->bitmaps_offset, bytes, h->bitmaps_bytes, changed);
}

static void relocate_refcount_entries(struct move *m, uint8_t *be)
{
	struct qc_refcounts *rc = &m->w->alloc.refcounts;

	for (uint64_t i = 0; i < rc->entries; i++) {
		uint64_t to = qc_compact_plan_relocate(m->p, rc->table[i]);

		if (rc->table[i] && to != rc->table[i]) {
			qc_cache_invalidate(rc->blocks, rc->table[i], geom_cluster(m->g));
			rc->table[i] = to;
		}
		be64_to(be + 8 * i, rc->table[i]);
	}
}

/* Blocks are clean since step 1, and so equal to their copies. */
static qc_err relocate_refcount_table(struct move *m)
{
	struct qc_refcounts *rc = &m->w->alloc.refcounts;
	AUTO_FREE uint8_t *be = malloc(rc->entries * 8);
	qc_err r;

	if (!be)
		return -ENOMEM;
	qc_lock(&m->w->alloc.lock);
	relocate_refcount_entries(m, be);
	r = write_both_tables(m, rc->table_offset, be, rc->entries * 8, true);
	qc_unlock(&m->w->alloc.lock);
	return r;
}

/* ---- the header ---------------------------------------------------------------------------- */

static qc_err switch_field(struct move *m, uint64_t at, uint64_t *field)
{
	uint64_t to = qc_compact_plan_relocate(m->p, *field);
	uint8_t be[8];
	qc_err r;

	if (!*field || to == *field)
		return 0;
	be64_to(be, to);
	r = qc_writer_update_header(m->w, at, be, sizeof(be));
	if (!r)
		*field = to;
	return r;
}

/* Finds the LUKS extension, of which the header keeps no offset.  0: there is none. */
static qc_err find_luks_extension(struct move *m, uint64_t *at)
{
	const struct qc_header *h = &m->w->layer->head;
	uint64_t cs = geom_cluster(m->g), end = h->backing_offset ? h->backing_offset : cs;
	AUTO_FREE uint8_t *head = malloc(cs);
	size_t got;
	qc_err r = head ? qc_file_read(m->w->file, 0, head, cs, &got) : -ENOMEM;

	if (r)
		return r;
	for (*at = h->version == 2 ? HEAD_V2_BYTES : be32_at(head + HEAD_LENGTH); *at + 8 <= end;
	     *at += 8 + round_up(be32_at(head + *at + 4), 8))
		if (be32_at(head + *at) == EXT_LUKS || be32_at(head + *at) == EXT_END)
			break;
	*at = *at + 8 <= end && be32_at(head + *at) == EXT_LUKS ? *at : 0;
	return 0;
}

static qc_err switch_luks(struct move *m)
{
	struct qc_header *h = &m->w->layer->head;
	uint64_t at;
	qc_err r;

	if (h->crypt != CRYPT_LUKS || qc_compact_plan_relocate(m->p, h->luks_offset) == h->luks_offset)
		return 0;
	r = find_luks_extension(m, &at);
	return r || !at ? r : switch_field(m, at + 8, &h->luks_offset);
}

static qc_err switch_tables(struct move *m)
{
	struct qc_header *h = &m->w->layer->head;
	qc_err r = switch_field(m, HEAD_L1_OFFSET, &h->geom.l1_offset);

	/* The refcount table moves when it grows, and the header in memory does not follow. */
	h->reftable_offset = m->w->alloc.refcounts.table_offset;
	if (!r)
		r = switch_field(m, HEAD_REFTABLE_OFFSET, &h->reftable_offset);
	if (!r && h->snapshots)
		r = switch_field(m, HEAD_SNAPSHOTS_OFFSET, &h->snapshots_offset);
	if (!r && has_valid_bitmaps(h))
		r = switch_field(m, h->bitmaps_extension + 8 + 16, &h->bitmaps_offset);
	m->w->alloc.refcounts.table_offset = h->reftable_offset;
	return r ? r : switch_luks(m);
}

/* ---- the end ----------------------------------------------------------------------------------- */

static qc_err lower_count(struct move *m, uint64_t c, uint64_t by)
{
	uint64_t off = c << m->g->cluster_bits, count;
	struct qc_alloc *a = &m->w->alloc;
	qc_err r = qc_alloc_refcount(&m->w->alloc, c, &count);

	if (r || !count)
		return r;
	if (count <= by)
		qc_writer_on_cluster_freed(m->w, off, geom_cluster(m->g));
	qc_lock(&a->lock);
	if (count <= by)
		qc_alloc_note_free(a, off, geom_cluster(m->g));
	r = qc_refcounts_set(&a->refcounts, c, count <= by ? 0 : count - by);
	qc_unlock(&a->lock);
	return r;
}

static qc_err free_old_clusters(struct move *m)
{
	const struct qc_compact_plan *p = m->p;
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < p->n; i++)
		if (p->to[i])
			r = lower_count(m, p->lo + i, UINT64_MAX);
	for (size_t i = 0; !r && i < p->ncompressed; i++) {
		const struct qc_compact_compressed *x = &p->compressed[i];
		uint64_t end = div_up(x->from + x->old_len, geom_cluster(m->g));

		for (uint64_t c = x->from >> m->g->cluster_bits; !r && x->to && c < end; c++)
			r = lower_count(m, c, x->refs);
	}
	return r ? r : qc_checkpoint(m->w, false);
}

static qc_err relocate_references(struct move *m)
{
	const struct qc_metadata *md = &m->w->metadata;
	qc_err r = qc_metadata_for_each(md, QC_WALK_READ_L2, relocate_l2_table, m);

	if (!r)
		r = qc_writer_sync(m->w);
	if (!r && FAIL_POINT("compact.after-l2"))
		r = -EIO;
	if (!r)
		r = qc_metadata_for_each(md, 0, relocate_first_level, m);
	if (!r)
		r = qc_writer_sync(m->w);
	if (!r)
		r = relocate_snapshot_table(m);
	if (!r)
		r = relocate_bitmap_directory(m);
	if (!r)
		r = relocate_refcount_table(m);
	if (!r)
		r = qc_writer_sync(m->w);
	return r ? r : switch_tables(m);
}

qc_err qc_compact_move(struct qc_compact_plan *p, qc_compact_stop_fn *stop, void *arg)
{
	struct move m = { .p = p, .w = p->w, .g = p->g };
	qc_err r = qc_checkpoint(p->w, false);

	if (!r)
		r = copy_all(&m, stop, arg);
	if (r) {
		qc_compact_plan_cancel(p);
		return r;
	}
	r = relocate_references(&m);
	if (!r)
		r = free_old_clusters(&m);
	return r ? qc_writer_abort(p->w, r, "cannot move clusters") : 0;
}
