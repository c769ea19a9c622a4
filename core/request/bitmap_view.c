/* SPDX-License-Identifier: MIT */
/*
 * bitmap_view.c - list the bitmaps of an image, and read one as an image.
 *
 * A bitmap of an image that is written is read from the set of its writer, as requests set its
 * bits.  Otherwise the view has read a set from the file.  Both are read by a request in
 * flight, so that the set does not change meanwhile.
 */
#include "request/bitmap_view.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/range.h"
#include "bitmap/bitmap_bits.h"
#include "request/request.h"

uint64_t qc_bitmap_view_pin(const char *name, size_t len)
{
	uint64_t hash = HASH_FNV_BASIS;

	for (size_t i = 0; i < len; i++)
		hash = hash_fnv_u64(hash, (uint8_t)name[i]);
	return hash | 1; /* no offset of an L1 table */
}

/* Returns the set of the writer, or else @own. */
static struct qc_bitmap_set *current_set(struct qc_layer *l, struct qc_bitmap_set *own)
{
	struct qc_writer *w = l->writer;
	struct qc_bitmap_set *s = w ? w->bitmaps : NULL;

	return s ? s : own;
}

/* ---- the list ------------------------------------------------------------- */

/* Copies the list of a set, with the names. */
static qc_err copy_list(const struct qc_bitmap_set *s, struct qc_bitmaps *out)
{
	size_t bytes = 1;
	char *text;

	for (size_t i = 0; i < s->n; i++)
		bytes += s->bitmap[i]->entry.name_len + 1;
	*out = (struct qc_bitmaps){ 0, calloc(s->n + 1, sizeof(*out->at)), malloc(bytes) };
	if (!out->at || !out->text) {
		qc_bitmaps_free(out);
		return -ENOMEM;
	}
	text = out->text;
	for (; out->n < s->n; out->n++) {
		struct qc_bitmap *e = &out->at[out->n];

		*e = s->bitmap[out->n]->entry;
		e->in_use = e->in_use || !s->bitmap[out->n]->usable;
		e->name = memcpy(text, e->name, e->name_len + 1);
		text += e->name_len + 1;
	}
	return 0;
}

qc_err qc_list_bitmaps(struct qc_image *img, struct qc_bitmaps *out)
{
	struct qc_layer *l = img->layer[0];
	struct qc_inflight_token token;
	struct qc_bitmap_set *s;
	qc_err r;

	*out = (struct qc_bitmaps){ 0 };
	if (l->refused)
		return 0;
	token = qc_inflight_begin(&l->inflight);
	s = current_set(l, NULL);
	r = s ? copy_list(s, out) : qc_bitmaps_read(l->file, &l->head, out);
	qc_inflight_end(&l->inflight, token);
	return r;
}

static qc_err count_listed(struct qc_bitmap_set *s, struct qc_bitmaps *list)
{
	qc_err r = 0;

	for (size_t i = 0; !r && i < list->n; i++) {
		struct qc_bitmap *e = &list->at[i];
		size_t k = qc_bitmap_set_find(s, e->name, e->name_len);

		if (k == s->n || !s->bitmap[k]->usable)
			continue;
		r = qc_bitmap_bits_count(s, s->bitmap[k], &e->dirty_bytes);
		e->counted = !r;
	}
	return r;
}

qc_err qc_count_dirty_bytes(struct qc_image *img, struct qc_bitmaps *list)
{
	struct qc_layer *l = img->layer[0];
	struct qc_bitmap_set *own = NULL, *s;
	struct qc_inflight_token token;
	qc_err r = 0;

	if (!list->n)
		return 0;
	token = qc_inflight_begin(&l->inflight);
	s = current_set(l, NULL);
	if (!s) {
		r = qc_bitmap_set_new(l, NULL, NULL, NULL, &own);
		s = own;
	}
	if (!r)
		r = count_listed(s, list);
	qc_bitmap_set_free(own);
	qc_inflight_end(&l->inflight, token);
	return r;
}

/* ---- a view ----------------------------------------------------------------- */

/* The state of a view: it reads as the disk, but for granules that are not dirty. */
struct bitmap_view {
	struct qc_bitmap_set *own; /* read from the file; NULL: that of the writer */
	size_t len;
	char name[];
};

static void free_bitmap_view(void *state)
{
	struct bitmap_view *view = state;

	qc_bitmap_set_free(view->own);
	free(view);
}

/* Finds the bitmap of a view. */
static qc_err find_viewed(struct qc_image *img, struct qc_bitmap_set **s,
			  struct qc_tracked_bitmap **b)
{
	const struct bitmap_view *view = img->bytes_state;
	size_t i;

	*s = current_set(img->layer[0], view->own);
	i = *s ? qc_bitmap_set_find(*s, view->name, view->len) : 0;
	if (!*s || i == (*s)->n)
		return -ENOENT;
	*b = (*s)->bitmap[i];
	return (*b)->usable ? 0 : -EIO;
}

/* A view whose bitmap was removed with the set of an earlier writer reads as an error. */
static qc_err find_bitmap_extent(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	struct qc_tracked_bitmap *b;
	struct qc_bitmap_set *s;
	qc_err r = find_viewed(img, &s, &b);

	return r ? -EIO : qc_bitmap_bits_extent(s, b, off, out);
}

static qc_err read_bitmap_view(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len)
{
	qc_err r = 0;

	while (!r && len) {
		struct qc_extent x;
		size_t n = 0;

		r = find_bitmap_extent(img, off, &x);
		if (!r)
			n = (size_t)min_u64(x.len, len);
		if (!r && x.data)
			r = qc_read_inflight(img, off, buf, n);
		else if (!r)
			memset(buf, 0, n);
		off += n;
		buf += n;
		len -= n;
	}
	return r;
}

static const struct qc_image_bytes_ops bitmap_view_ops = {
	.size_of_disk = true,
	.read = read_bitmap_view,
	.block_status = find_bitmap_extent,
	.free = free_bitmap_view,
};

struct bitmap_name {
	const char *name;
	size_t len;
};

/* Makes the image show a bitmap, and pins the bitmap.  A qc_view_fn. */
static qc_err begin_view(struct qc_image *v, const void *arg, struct qc_reason *why)
{
	const struct bitmap_name *name = arg;
	struct bitmap_view *view = calloc(1, sizeof(*view) + name->len + 1);
	struct qc_layer *l = v->layer[0];
	struct qc_tracked_bitmap *b;
	struct qc_bitmap_set *s;
	qc_err r = 0;

	if (!view)
		return qc_fail(why, -ENOMEM, "out of memory");
	memcpy(view->name, name->name, name->len);
	view->len = name->len;
	v->bytes_ops = &bitmap_view_ops;
	v->bytes_state = view;
	if (!current_set(l, NULL))
		r = qc_bitmap_set_new(l, NULL, NULL, NULL, &view->own);
	if (r)
		return qc_fail(why, r, "the bitmap directory is damaged");
	r = find_viewed(v, &s, &b);
	if (r)
		return qc_fail(why, r, r == -ENOENT ? "the bitmap does not exist any more" :
			       "the bitmap is inconsistent (remove it: qcowfs bitmap --remove)");
	v->pin.l1_offset = qc_bitmap_view_pin(name->name, name->len);
	qc_layer_pin_snapshot(l, &v->pin);
	return 0;
}

qc_err qc_bitmap_open(struct qc_image *img, const char *name, size_t len, struct qc_image **out,
		      struct qc_reason *why)
{
	return qc_open_view(img, begin_view, &(struct bitmap_name){ name, len }, out, why);
}
