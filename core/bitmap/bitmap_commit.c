/* SPDX-License-Identifier: MIT */
#include "bitmap/bitmap_commit.h"

#include <errno.h>
#include <string.h>

#include "base/byteorder.h"
#include "base/failpoint.h"
#include "base/range.h"
#include "bitmap/bitmap_bits.h"
#include "bitmap/bitmap_header.h"
#include "bitmap/bitmap_removal.h"
#include "update/checkpoint.h"

/* Clusters that a commit has written, and that become those of the set if it succeeds. */
struct commit {
	struct qc_bitmap_set *s;
	bool clean;
	struct hoff *table; /* of each bitmap; 0: its table in the file stays */
	struct hoff directory;
	uint64_t directory_bytes;
};

static uint64_t commit_cluster(const struct qc_bitmap_set *s)
{
	return geom_cluster(&s->layer->head.geom);
}

/* Returns true if the bits and the table of a bitmap are written by this commit. */
static bool is_stored(const struct commit *c, const struct qc_tracked_bitmap *b)
{
	return b->usable && (c->clean || !b->marked || !b->entry.table_offset);
}

/* Returns the entry of a bitmap for a directory in the file. */
static struct qc_bitmap file_entry(const struct qc_tracked_bitmap *b, bool clean)
{
	struct qc_bitmap e = b->entry;

	e.in_use = e.in_use || (b->marked && !(clean && b->usable));
	return e;
}

/* ---- writing ------------------------------------------------------------------ */

/* Allocates zeroed memory for @len bytes, in whole clusters. */
static uint8_t *alloc_cluster_bytes(const struct qc_bitmap_set *s, uint64_t len)
{
	return calloc(div_up(len, commit_cluster(s)) + 1, commit_cluster(s));
}

/* Writes @len bytes of alloc_cluster_bytes() to new contiguous clusters. */
static qc_err write_new_clusters(struct qc_bitmap_set *s, const uint8_t *bytes, uint64_t len,
				 struct hoff *at)
{
	uint64_t n = div_up(len, commit_cluster(s));
	qc_err r = qc_alloc_contiguous(&s->w->alloc, n, at);

	if (r) {
		at->v = 0;
		return r;
	}
	r = qc_file_write(s->file, at->v, bytes, n * commit_cluster(s));
	if (r) {
		qc_alloc_cancel(&s->w->alloc, *at, n);
		at->v = 0;
	}
	return r;
}

static qc_err write_table(struct commit *c, size_t n)
{
	struct qc_tracked_bitmap *b = c->s->bitmap[n];
	AUTO_FREE uint8_t *be = NULL;
	qc_err r = qc_bitmap_bits_store(c->s, b);

	if (r || !b->changed)
		return r;
	be = alloc_cluster_bytes(c->s, b->entries * 8);
	if (!be)
		return -ENOMEM;
	for (uint64_t i = 0; i < b->entries; i++)
		be64_to(be + 8 * i, b->table[i]);
	return write_new_clusters(c->s, be, b->entries * 8, &c->table[n]);
}

static uint8_t *encode_directory(const struct commit *c)
{
	uint8_t *bytes = alloc_cluster_bytes(c->s, c->directory_bytes), *to = bytes;

	for (size_t i = 0; bytes && i < c->s->n; i++) {
		const struct qc_tracked_bitmap *b = c->s->bitmap[i];
		struct qc_bitmap e = file_entry(b, c->clean);

		if (c->table && c->table[i].v) {
			e.table_offset = c->table[i].v;
			e.table_entries = (uint32_t)b->entries;
		}
		qc_bitmaps_put_entry(to, &e);
		to += qc_bitmaps_entry_bytes(&e);
	}
	return bytes;
}

static qc_err write_commit(struct commit *c)
{
	AUTO_FREE uint8_t *bytes = NULL;
	qc_err r = 0;

	for (size_t i = 0; !r && i < c->s->n; i++)
		if (is_stored(c, c->s->bitmap[i]))
			r = write_table(c, i);
	if (!r && c->s->n) {
		bytes = encode_directory(c);
		r = bytes ? write_new_clusters(c->s, bytes, c->directory_bytes, &c->directory) : -ENOMEM;
	}
	if (!r)
		r = qc_checkpoint(c->s->w, false);
	if (!r && FAIL_POINT("bitmap.before-switch"))
		r = -EIO;
	return r;
}

static void cancel_commit(struct commit *c)
{
	struct qc_bitmap_set *s = c->s;

	for (size_t i = 0; i < s->n; i++)
		if (c->table[i].v)
			qc_alloc_cancel(&s->w->alloc, c->table[i],
					div_up(s->bitmap[i]->entries * 8, commit_cluster(s)));
	if (c->directory.v)
		qc_alloc_cancel(&s->w->alloc, c->directory,
				div_up(c->directory_bytes, commit_cluster(s)));
}

/* ---- after the switch ----------------------------------------------------------- */

static void free_old_table(struct qc_bitmap_set *s, const struct qc_bitmap *e)
{
	if (e->table_offset)
		qc_alloc_defer_free(&s->w->alloc, e->table_offset,
				    round_up(e->table_entries * UINT64_C(8), commit_cluster(s)));
}

static void free_replaced(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	qc_bitmap_removal_free(s->w, &b->replaced);
	b->replaced.n = 0;
}

/* Notes that the table in memory is that in the file. */
static void finish_bitmap(struct commit *c, size_t n)
{
	struct qc_tracked_bitmap *b = c->s->bitmap[n];

	if (c->clean && b->usable)
		b->marked = false;
	if (!c->table[n].v)
		return;
	free_old_table(c->s, &b->entry);
	free_replaced(c->s, b);
	b->entry.table_offset = c->table[n].v;
	b->entry.table_entries = (uint32_t)b->entries;
	memset(b->fresh, 0, b->entries * sizeof(*b->fresh));
	b->changed = false;
}

void qc_bitmap_commit_free(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	uint64_t cs = commit_cluster(s);
	struct qc_free_list l = { 0 };

	if (!b->usable) {
		if (b->entry.table_offset && !qc_bitmap_removal_collect(s->w, &b->entry, &l))
			qc_bitmap_removal_free(s->w, &l);
		qc_free_list_clear(&l);
		return;
	}
	for (uint64_t i = 0; i < b->entries; i++) {
		struct hoff host = { b->table[i] & L1_OFFSET_MASK };

		if (host.v && b->fresh[i])
			qc_alloc_cancel(&s->w->alloc, host, 1);
		else if (host.v)
			qc_alloc_defer_free(&s->w->alloc, host.v, cs);
	}
	free_replaced(s, b);
	free_old_table(s, &b->entry);
}

qc_err qc_bitmap_commit(struct qc_bitmap_set *s, bool clean)
{
	struct qc_header *h = &s->layer->head;
	uint64_t old = h->bitmaps_offset, old_bytes = h->bitmaps_bytes;
	AUTO_FREE struct hoff *table = calloc(s->n + 1, sizeof(*table));
	struct commit c = { s, clean, table, { 0 }, qc_bitmap_set_directory_bytes(s) };
	qc_err r = table ? write_commit(&c) : -ENOMEM;

	if (!r)
		r = s->n ? qc_bitmap_header_switch(s->w, (uint32_t)s->n, c.directory_bytes,
						   c.directory.v) :
			   qc_bitmap_header_remove(s->w);
	if (r) {
		/* After a failed sync the header in the file may be the new one. */
		if (table && !s->w->aborted)
			cancel_commit(&c);
		return r;
	}
	for (size_t i = 0; i < s->n; i++)
		finish_bitmap(&c, i);
	if (old)
		qc_alloc_defer_free(&s->w->alloc, old, round_up(old_bytes, commit_cluster(s)));
	return 0;
}

/* ---- the directory in the file ---------------------------------------------------- */

/* Writes the directory over that in the file, which is as long or longer. */
static qc_err overwrite_directory(struct qc_bitmap_set *s)
{
	struct commit c = { .s = s, .directory_bytes = qc_bitmap_set_directory_bytes(s) };
	AUTO_FREE uint8_t *bytes = encode_directory(&c);
	qc_err r = bytes ? qc_file_write(s->file, s->layer->head.bitmaps_offset, bytes,
					 c.directory_bytes) : -ENOMEM;

	return r ? r : qc_writer_sync(s->w);
}

/* Returns true if a bitmap must be marked as in use before the next change. */
static bool needs_mark(const struct qc_tracked_bitmap *b, bool all)
{
	return !b->entry.in_use && !b->marked && (all || b->entry.is_auto);
}

qc_err qc_bitmap_commit_in_use(struct qc_bitmap_set *s, bool all)
{
	AUTO_FREE bool *mark = calloc(s->n + 1, sizeof(*mark));
	bool any = false;
	qc_err r = mark ? 0 : -ENOMEM;

	for (size_t i = 0; !r && i < s->n; i++) {
		mark[i] = needs_mark(s->bitmap[i], all);
		s->bitmap[i]->marked = s->bitmap[i]->marked || mark[i];
		any = any || mark[i];
	}
	if (any)
		r = overwrite_directory(s);
	for (size_t i = 0; r && any && i < s->n; i++)
		if (mark[i])
			s->bitmap[i]->marked = false;
	return r;
}

qc_err qc_bitmap_commit_in_place(struct qc_bitmap_set *s)
{
	uint64_t cs = commit_cluster(s), offset = s->layer->head.bitmaps_offset;
	uint64_t old = round_up(s->layer->head.bitmaps_bytes, cs);
	uint64_t bytes = qc_bitmap_set_directory_bytes(s);
	qc_err r = qc_bitmap_header_declare(s->w, false);

	if (!r)
		r = overwrite_directory(s);
	if (!r)
		r = qc_bitmap_header_switch(s->w, (uint32_t)s->n, bytes, offset);
	if (!r && round_up(bytes, cs) < old)
		qc_alloc_defer_free(&s->w->alloc, offset + round_up(bytes, cs),
				    old - round_up(bytes, cs));
	return r;
}
