/* SPDX-License-Identifier: MIT */
/*
 * bitmap_change.c - add, remove and change bitmaps of an open image.
 *
 * A change runs in a drained section: a write before it is in all bitmaps that there were, and
 * one after it in all that there are.  It does not mark bitmaps as in use.  So a crash of a
 * program that only changes bitmaps leaves them as they were, or as they shall be.
 */
#include <errno.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "bitmap/bitmap_bits.h"
#include "bitmap/bitmap_client.h"
#include "bitmap/bitmap_commit.h"
#include "image/gather.h"
#include "layer/context_fields.h"
#include "request/bitmap_view.h"
#include "update/autoclear.h"
#include "update/checkpoint.h"

/* Arguments of a change; each change uses some of the fields. */
struct bitmap_args {
	const char *name, *to;
	size_t len, to_len;
	uint64_t granularity;
	bool enabled;
	struct qc_dirty_bits *merge; /* with one bit for each granule of `granularity` */
};

typedef qc_err bitmap_change_fn(struct qc_bitmap_set *s, const struct bitmap_args *a);

/* ---- the frame ------------------------------------------------------------ */

/* Loads the set of the writer.  No metadata is dirty. */
static qc_err load_bitmap_set(struct qc_writer *w)
{
	qc_err r;

	qc_lock(&w->table_lock);
	r = qc_autoclear_clear(w);
	if (!r)
		r = qc_bitmap_client_load(w);
	qc_unlock(&w->table_lock);
	return r;
}

static qc_err change_bitmaps(struct qc_image *img, bitmap_change_fn *fn, const struct bitmap_args *a)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	qc_err flushed, r;

	if (!img->writable)
		return -EROFS;
	if (l->head.version != 3 || l->ctx->drop_bitmaps)
		return -EOPNOTSUPP;
	r = qc_writer_flush_all(w);
	if (r)
		return qc_no_outcome(r);
	qc_gather_block(img);
	qc_lock(&w->resize_lock);
	qc_drain_begin(&l->inflight);
	r = qc_writer_flush_all(w);
	if (!r)
		r = load_bitmap_set(w);
	if (!r)
		r = fn(w->bitmaps, a);
	atomic_store(&w->clients.any_for_ranges, w->clients.any_for_ranges ||
						 (w->bitmaps && w->bitmaps->n));
	qc_drain_end(&l->inflight);
	qc_unlock(&w->resize_lock);
	qc_gather_unblock(img);
	flushed = qc_writer_flush_all(w);
	return qc_no_outcome(r ? r : flushed);
}

static qc_err check_new_name(const struct qc_bitmap_set *s, const char *name, size_t len)
{
	if (!len)
		return -EINVAL;
	if (len > NAME_MAX_LEN)
		return -ENAMETOOLONG;
	return qc_bitmap_set_find(s, name, len) < s->n ? -EEXIST : 0;
}

/* Finds a bitmap that no view has open. */
static qc_err find_unused(const struct qc_bitmap_set *s, const struct bitmap_args *a, size_t *i)
{
	*i = qc_bitmap_set_find(s, a->name, a->len);
	if (*i == s->n)
		return -ENOENT;
	return qc_layer_snapshot_is_pinned(s->layer, qc_bitmap_view_pin(a->name, a->len)) ? -EBUSY :
											    0;
}

/* Finds a bitmap whose bits are known. */
static qc_err find_usable(const struct qc_bitmap_set *s, const struct bitmap_args *a,
			  struct qc_tracked_bitmap **b)
{
	size_t i = qc_bitmap_set_find(s, a->name, a->len);

	if (i == s->n)
		return -ENOENT;
	*b = s->bitmap[i];
	return (*b)->usable ? 0 : -EIO;
}

/* Returns true if a bitmap that records writes has to be in use in the file. */
static bool is_being_written(const struct qc_bitmap_set *s)
{
	return s->w->clients.first_change;
}

/* ---- changes ---------------------------------------------------------------- */

static qc_err add_bitmap(struct qc_bitmap_set *s, const struct bitmap_args *a)
{
	qc_err r = check_new_name(s, a->name, a->len);

	if (!r)
		r = qc_bitmap_set_add(s, a->name, a->len,
				      (unsigned int)__builtin_ctzll(a->granularity), a->enabled);
	if (r)
		return r;
	s->bitmap[s->n - 1]->marked = a->enabled && is_being_written(s);
	r = qc_bitmap_commit(s, false);
	if (r)
		qc_tracked_bitmap_free(s, qc_bitmap_set_take(s, s->n - 1));
	return r;
}

static qc_err remove_bitmap(struct qc_bitmap_set *s, const struct bitmap_args *a)
{
	struct qc_tracked_bitmap *b;
	size_t i;
	qc_err r = find_unused(s, a, &i);

	if (r)
		return r;
	b = qc_bitmap_set_take(s, i);
	r = qc_bitmap_commit(s, false);
	if (r) {
		qc_bitmap_set_put(s, i, b);
		return r;
	}
	qc_bitmap_commit_free(s, b);
	qc_tracked_bitmap_free(s, b);
	return 0;
}

static qc_err rename_bitmap(struct qc_bitmap_set *s, const struct bitmap_args *a)
{
	size_t i;
	qc_err r = find_unused(s, a, &i);

	if (!r)
		r = check_new_name(s, a->to, a->to_len);
	if (!r)
		r = qc_tracked_bitmap_rename(s->bitmap[i], a->to, a->to_len);
	if (r)
		return r;
	if (qc_bitmap_set_directory_bytes(s) > QC_BITMAP_DIRECTORY_MAX)
		r = -ENOSPC;
	if (!r)
		r = qc_bitmap_commit(s, false);
	if (r) /* with memory that was free a moment ago */
		qc_tracked_bitmap_rename(s->bitmap[i], a->name, a->len);
	return r;
}

static qc_err enable_bitmap(struct qc_bitmap_set *s, const struct bitmap_args *a)
{
	struct qc_tracked_bitmap *b;
	bool was_auto, was_marked;
	qc_err r = find_usable(s, a, &b);

	if (r || b->entry.is_auto == a->enabled)
		return r;
	was_auto = b->entry.is_auto;
	was_marked = b->marked;
	b->entry.is_auto = a->enabled;
	/* One that is disabled is stored at once. */
	b->marked = a->enabled && is_being_written(s);
	r = qc_bitmap_commit(s, false);
	if (r) {
		b->entry.is_auto = was_auto;
		b->marked = was_marked;
	}
	return r;
}

static qc_err clear_bitmap(struct qc_bitmap_set *s, const struct bitmap_args *a)
{
	struct qc_tracked_bitmap *b;
	qc_err r = find_usable(s, a, &b);

	if (!r)
		r = qc_bitmap_bits_clear(s, b);
	return r ? r : qc_bitmap_commit(s, false);
}

static qc_err merge_bitmap(struct qc_bitmap_set *s, const struct bitmap_args *a)
{
	uint8_t page[QC_DIRTY_PAGE_MAX];
	struct qc_tracked_bitmap *b;
	qc_err r = find_usable(s, a, &b);

	if (!r && (b->entry.granularity != a->granularity || b->bits != a->merge->bits))
		r = -EAGAIN; /* changed while the other one was read */
	for (uint64_t i = 0; !r && i < a->merge->slots; i++) {
		if (!qc_dirty_bits_has(a->merge, i))
			continue;
		memset(page, 0, sizeof(page));
		qc_dirty_bits_copy(a->merge, i, page);
		qc_dirty_bits_put(&b->dirty, i, page);
	}
	return r ? r : qc_bitmap_commit(s, false);
}

/* ---- public calls ------------------------------------------------------------- */

/* Returns the granularity that QEMU chooses for a new bitmap. */
static uint64_t default_granularity(struct qc_image *img)
{
	return min_u64(max_u64(geom_cluster(&img->layer[0]->head.geom), 4096), 65536);
}

qc_err qc_bitmap_add(struct qc_image *img, const char *name, size_t len, uint64_t granularity,
		     bool enabled)
{
	struct bitmap_args a = { .name = name, .len = len, .enabled = enabled,
				 .granularity = granularity ? granularity : default_granularity(img) };

	if (a.granularity & (a.granularity - 1) || a.granularity < QC_GRANULARITY_MIN ||
	    a.granularity > QC_GRANULARITY_MAX)
		return -EINVAL;
	return change_bitmaps(img, add_bitmap, &a);
}

qc_err qc_bitmap_remove(struct qc_image *img, const char *name, size_t len)
{
	return change_bitmaps(img, remove_bitmap, &(struct bitmap_args){ .name = name, .len = len });
}

qc_err qc_bitmap_rename(struct qc_image *img, const char *name, size_t len, const char *to,
			size_t to_len)
{
	return change_bitmaps(img, rename_bitmap, &(struct bitmap_args){
			      .name = name, .len = len, .to = to, .to_len = to_len });
}

qc_err qc_bitmap_enable(struct qc_image *img, const char *name, size_t len, bool enabled)
{
	return change_bitmaps(img, enable_bitmap, &(struct bitmap_args){
			      .name = name, .len = len, .enabled = enabled });
}

qc_err qc_bitmap_clear(struct qc_image *img, const char *name, size_t len)
{
	return change_bitmaps(img, clear_bitmap, &(struct bitmap_args){ .name = name, .len = len });
}

/* Sets a bit for each granule that is dirty in @from. */
static qc_err gather_dirty(struct qc_image *from, unsigned int granularity_bits,
			   struct qc_dirty_bits *out)
{
	struct qc_extent x;
	qc_err r = 0;

	for (uint64_t at = 0; !r && at < qc_size(from); at += x.len) {
		r = qc_block_status(from, at, &x);
		if (!r && x.data)
			qc_dirty_bits_set(out, at >> granularity_bits,
					  ((at + x.len - 1) >> granularity_bits) + 1);
	}
	return r;
}

/* Reads the granularity of a bitmap. */
static qc_err read_granularity(struct qc_image *img, const struct bitmap_args *a, uint64_t *out)
{
	struct qc_bitmaps list;
	qc_err r = qc_list_bitmaps(img, &list);

	*out = 0;
	for (size_t i = 0; !r && i < list.n; i++)
		if (list.at[i].name_len == a->len && !memcmp(list.at[i].name, a->name, a->len))
			*out = list.at[i].granularity;
	qc_bitmaps_free(&list);
	return r || *out ? r : -ENOENT;
}

qc_err qc_bitmap_merge(struct qc_image *img, const char *name, size_t len, struct qc_image *from)
{
	struct bitmap_args a = { .name = name, .len = len };
	struct qc_dirty_bits bits;
	_Atomic uint64_t memory = 0;
	qc_err r = qc_size(img) == qc_size(from) ? read_granularity(img, &a, &a.granularity) : -EINVAL;

	if (r)
		return r;
	r = qc_dirty_bits_init(&bits, div_up(qc_size(img), a.granularity),
			       qc_bitmap_page_bytes(&img->layer[0]->head.geom), &memory);
	a.merge = &bits;
	if (!r)
		r = gather_dirty(from, (unsigned int)__builtin_ctzll(a.granularity), &bits);
	if (!r)
		r = change_bitmaps(img, merge_bitmap, &a);
	qc_dirty_bits_free(&bits);
	return r;
}
