/* SPDX-License-Identifier: MIT */
#include "bitmap/bitmap_overlap.h"

#include "base/range.h"
#include "bitmap/bitmap_removal.h"
#include "layer/metadata_walk.h"

struct overlap_search {
	struct qc_free_list own; /* extents of bitmaps: ordered, and apart from each other */
	bool found;
};

/* Joins extents that overlap. */
static void join_extents(struct qc_free_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct qc_free_extent *last = n ? &l->extent[n - 1] : NULL, x = l->extent[i];

		if (last && x.off - last->off < last->len)
			last->len = max_u64(last->len, x.off - last->off + x.len);
		else
			l->extent[n++] = x;
	}
	l->n = n;
}

/* Returns the first extent that ends behind @off, or NULL. */
static const struct qc_free_extent *first_behind(const struct qc_free_list *l, uint64_t off)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->extent[mid].off + l->extent[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->n ? &l->extent[low] : NULL;
}

/* A qc_metadata_fn. */
static qc_err compare_with_bitmaps(void *arg, struct qc_metadata_item *item)
{
	struct overlap_search *s = arg;
	const struct qc_free_extent *x = first_behind(&s->own, item->off);

	if (!item->invalid && item->kind < QC_METADATA_BITMAP_DIRECTORY)
		s->found = s->found || (x && range_overlap(x->off, x->len, item->off, item->len));
	return 0;
}

static qc_err check_directory_refcounts(struct qc_writer *w, bool *found)
{
	const struct qc_header *h = &w->layer->head;
	uint64_t c = h->bitmaps_offset >> h->geom.cluster_bits, count = 1;
	uint64_t end = div_up(h->bitmaps_offset + h->bitmaps_bytes, geom_cluster(&h->geom));
	qc_err r = 0;

	for (; !r && count == 1 && c < end; c++)
		r = qc_alloc_refcount(&w->alloc, c, &count);
	*found = count != 1;
	return r;
}

qc_err qc_bitmap_overlap_find(struct qc_writer *w, bool *found)
{
	struct overlap_search s = { 0 };
	qc_err r = check_directory_refcounts(w, found);

	if (r || *found)
		return r;
	r = qc_bitmap_removal_collect_all(w, &s.own);
	if (!r) {
		qc_bitmap_removal_sort(&s.own);
		join_extents(&s.own);
		r = qc_metadata_for_each(&w->metadata, 0, compare_with_bitmaps, &s);
	}
	qc_free_list_clear(&s.own);
	*found = s.found;
	return r;
}
