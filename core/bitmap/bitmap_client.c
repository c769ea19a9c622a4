/* SPDX-License-Identifier: MIT */
#include "bitmap/bitmap_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bitmap/bitmap_bits.h"
#include "bitmap/bitmap_commit.h"
#include "bitmap/bitmap_header.h"
#include "bitmap/bitmap_overlap.h"
#include "bitmap/bitmap_removal.h"
#include "layer/context_fields.h"

/* ---- removing --------------------------------------------------------------- */

/* Writes the names, separated by commas, as far as they fit. */
static void join_bitmap_names(const struct qc_bitmaps *b, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < b->n && used + b->at[i].name_len + 3 <= size; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "",
					 b->at[i].name);
}

static void warn_of_removal(struct qc_layer *l, const char *reason)
{
	struct qc_bitmaps b;
	char names[400] = "";

	if (qc_bitmaps_read(l->file, &l->head, &b) != -ENOMEM)
		join_bitmap_names(&b, names, sizeof(names));
	qc_bitmaps_free(&b);
	qc_log(&l->ctx->log, QC_LOG_WARN, "%s: persistent bitmaps are removed, since %s: %s", l->path,
	       reason, *names ? names : "(their directory is damaged)");
}

static void warn_of_leak(struct qc_layer *l, qc_err r)
{
	qc_log(&l->ctx->log, QC_LOG_WARN, "%s: cannot free the clusters of the bitmaps: %s "
	       "(qcowfs check -r leaks can)", l->path, strerror(-r));
}

/* Removes all bitmaps.  @valid: their tables can be relied on. */
static qc_err remove_all_bitmaps(struct qc_writer *w, const char *reason, bool valid)
{
	struct qc_free_list extents = { 0 };
	qc_err freed = 0, r;

	warn_of_removal(w->layer, reason);
	r = qc_bitmap_removal_collect_all(w, &extents);
	if (!r)
		r = qc_bitmap_header_remove(w);
	if (!r && valid)
		qc_bitmap_removal_free(w, &extents);
	else if (!r)
		freed = qc_bitmap_removal_free_unreferenced(w, &extents);
	if (freed)
		warn_of_leak(w->layer, freed);
	qc_free_list_clear(&extents);
	return r;
}

/* ---- loading ------------------------------------------------------------------ */

struct damaged_bitmaps {
	struct qc_writer *w;
	struct qc_free_list extents;
	bool any;
};

/* A qc_bitmap_bad_fn. */
static qc_err note_damaged_bitmap(void *arg, const struct qc_bitmap *b, const char *problem)
{
	struct damaged_bitmaps *d = arg;
	struct qc_layer *l = d->w->layer;

	qc_log(&l->ctx->log, QC_LOG_WARN, "%s: bitmap '%s' is removed: %s", l->path, b->name,
	       problem);
	d->any = true;
	return qc_bitmap_removal_collect(d->w, b, &d->extents);
}

/* Takes damaged bitmaps out of the file. */
static qc_err drop_damaged(struct qc_bitmap_set *s, struct damaged_bitmaps *d)
{
	qc_err freed, r = s->n ? qc_bitmap_commit_in_place(s) : qc_bitmap_header_remove(s->w);

	if (r)
		return r;
	freed = qc_bitmap_removal_free_unreferenced(s->w, &d->extents);
	if (freed)
		warn_of_leak(s->layer, freed);
	return 0;
}

/* Reads valid bitmaps.  *s stays NULL if the directory is damaged. */
static qc_err load_valid_bitmaps(struct qc_writer *w, struct qc_bitmap_set **s)
{
	const struct qc_header *h = &w->layer->head;
	struct damaged_bitmaps d = { .w = w };
	bool overlap = false;
	qc_err r;

	if (h->bitmaps_extension && !h->bitmaps)
		return 0;
	r = qc_bitmap_set_new(w->layer, w, note_damaged_bitmap, &d, s);
	if (r && r != -ENOMEM)
		r = 0;
	if (*s)
		r = qc_bitmap_overlap_find(w, &overlap);
	if (*s && !r && !overlap && d.any)
		r = drop_damaged(*s, &d);
	if (r || overlap) {
		qc_bitmap_set_free(*s);
		*s = NULL;
	}
	qc_free_list_clear(&d.extents);
	return r;
}

static const char WRITTEN_WITHOUT[] = "another program has written the image without them";

/* Makes the set, and removes bitmaps that cannot be in the set. */
static qc_err make_set(struct qc_writer *w, struct qc_bitmap_set **s)
{
	const struct qc_layer *l = w->layer;
	const struct qc_header *h = &l->head;
	bool valid = h->autoclear & AUTOCLEAR_BITMAPS;
	qc_err r = 0;

	if (!h->bitmaps_extension)
		r = qc_bitmap_header_declare(w, false);
	else if (!valid)
		r = remove_all_bitmaps(w, WRITTEN_WITHOUT, false);
	else if (l->ctx->drop_bitmaps)
		r = remove_all_bitmaps(w, "the image is written", true);
	else
		r = load_valid_bitmaps(w, s);
	if (!r && !*s && h->bitmaps_extension)
		r = remove_all_bitmaps(w, "they are damaged", false);
	return r || *s ? r : qc_bitmap_set_new(w->layer, w, NULL, NULL, s);
}

qc_err qc_bitmap_client_load(struct qc_writer *w)
{
	struct qc_bitmap_set *s = NULL;
	qc_err r;

	if (w->bitmaps)
		return 0;
	r = make_set(w, &s);
	if (r) {
		qc_bitmap_set_free(s);
		return r;
	}
	atomic_store(&w->bitmaps, s);
	atomic_store(&w->clients.any_for_ranges, w->clients.any_for_ranges || s->n);
	return 0;
}

/* ---- the life of a writer ------------------------------------------------------- */

static qc_err mark_before_first_change(struct qc_writer *w, void *state)
{
	qc_err r = qc_bitmap_client_load(w);

	(void)state;
	return r ? r : qc_bitmap_commit_in_use(w->bitmaps, false);
}

static void set_bits_of_range(struct qc_writer *w, void *state, uint64_t off, uint64_t len)
{
	struct qc_bitmap_set *s = w->bitmaps;

	(void)state;
	for (size_t i = 0; i < s->n; i++) {
		struct qc_tracked_bitmap *b = s->bitmap[i];

		if (b->usable && b->entry.is_auto)
			qc_dirty_bits_set(&b->dirty, off >> b->granularity_bits,
					  ((off + len - 1) >> b->granularity_bits) + 1);
	}
	if (qc_bitmap_bits_are_many(s))
		atomic_store(&w->clients.urgent, true);
}

static void make_room_for_bits(struct qc_writer *w, void *state)
{
	(void)state;
	qc_bitmap_bits_make_room(w->bitmaps);
}

static qc_err mark_before_resize(struct qc_writer *w, void *state)
{
	(void)state;
	return qc_bitmap_commit_in_use(w->bitmaps, true);
}

/* Frees the clusters that no table in the file references. */
static void cancel_fresh_clusters(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b)
{
	for (uint64_t i = 0; b->usable && i < b->entries; i++)
		if (b->fresh[i])
			qc_alloc_cancel(&s->w->alloc, (struct hoff){ b->table[i] & L1_OFFSET_MASK },
					1);
}

/* Gives a bitmap up: it stays in use in the file. */
static void give_bitmap_up(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, qc_err r)
{
	struct qc_layer *l = s->layer;

	cancel_fresh_clusters(s, b);
	b->usable = false;
	qc_log(&l->ctx->log, QC_LOG_WARN, "%s: bitmap '%s' is inconsistent from now on: cannot adapt "
	       "it to the size of the disk: %s", l->path, b->entry.name, strerror(-r));
}

static void resize_bitmaps(struct qc_writer *w, void *state)
{
	struct qc_bitmap_set *s = w->bitmaps;

	(void)state;
	for (size_t i = 0; i < s->n; i++) {
		struct qc_tracked_bitmap *b = s->bitmap[i];
		qc_err r = b->usable ? qc_bitmap_bits_resize(s, b) : 0;

		if (r)
			give_bitmap_up(s, b, r);
	}
}

static bool any_marked(const struct qc_bitmap_set *s)
{
	size_t i = 0;

	while (i < s->n && !s->bitmap[i]->marked)
		i++;
	return i < s->n;
}

static qc_err store_bitmaps_at_close(struct qc_writer *w, void *state, bool write)
{
	struct qc_bitmap_set *s = w->bitmaps;
	struct qc_layer *l = w->layer;
	qc_err r = 0;

	(void)state;
	if (s && write && any_marked(s))
		r = qc_bitmap_commit(s, true);
	if (r && !w->aborted)
		qc_log(&l->ctx->log, QC_LOG_WARN, "%s: cannot store the bitmaps, which are "
		       "inconsistent from now on: %s", l->path, strerror(-r));
	for (size_t i = 0; s && !w->aborted && i < s->n; i++)
		cancel_fresh_clusters(s, s->bitmap[i]);
	w->bitmaps = NULL;
	qc_bitmap_set_free(s);
	return 0;
}

static const struct qc_writer_client_ops bitmap_client = {
	.ranges_on_demand = true,
	.first_change = mark_before_first_change,
	.range_changed = set_bits_of_range,
	.relieve = make_room_for_bits,
	.before_resize = mark_before_resize,
	.resized = resize_bitmaps,
	.close = store_bitmaps_at_close,
};

void qc_bitmap_client_add(struct qc_writer *w)
{
	qc_writer_add_client(w, &bitmap_client, NULL);
}
