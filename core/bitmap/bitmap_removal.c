/* SPDX-License-Identifier: MIT */
#include "bitmap/bitmap_removal.h"

#include <errno.h>

#include "base/range.h"
#include "check/reference_count.h"

enum { EXTENTS_MAX = 1 << 20 }; /* 16 MiB; clusters of others are leaked */

struct collect {
	struct qc_writer *w;
	struct qc_free_list *out;
};

/* A qc_metadata_fn. */
static qc_err collect_item(void *arg, struct qc_metadata_item *item)
{
	struct collect *c = arg;

	if (item->invalid || c->out->n == EXTENTS_MAX)
		return 0;
	return qc_free_list_add(c->out, c->w->alloc.cluster_bits, item->off, item->len);
}

/* The walk over metadata does not visit a directory that it cannot decode. */
static qc_err collect_damaged_directory(struct qc_writer *w, struct qc_free_list *out)
{
	const struct qc_header *h = &w->layer->head;
	struct qc_file_stat now;
	struct qc_bitmaps list;
	qc_err r = qc_bitmaps_read(w->file, h, &list);

	qc_bitmaps_free(&list);
	if (!r || r == -ENOMEM || qc_file_stat(w->file, &now) || !h->bitmaps_bytes ||
	    h->bitmaps_bytes > 64 * MIB || h->bitmaps_offset & (geom_cluster(&h->geom) - 1) ||
	    !range_inside(h->bitmaps_offset, h->bitmaps_bytes,
			  round_up(now.size, geom_cluster(&h->geom))))
		return 0;
	return qc_free_list_add(out, w->alloc.cluster_bits, h->bitmaps_offset, h->bitmaps_bytes);
}

qc_err qc_bitmap_removal_collect_all(struct qc_writer *w, struct qc_free_list *out)
{
	struct collect c = { w, out };
	qc_err r = qc_metadata_for_each_bitmap(&w->metadata, collect_item, &c);

	return r ? r : collect_damaged_directory(w, out);
}

qc_err qc_bitmap_removal_collect(struct qc_writer *w, const struct qc_bitmap *b,
				 struct qc_free_list *out)
{
	struct collect c = { w, out };

	return qc_metadata_for_bitmap(&w->metadata, b, collect_item, &c);
}

void qc_bitmap_removal_free(struct qc_writer *w, const struct qc_free_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		qc_alloc_defer_free(&w->alloc, l->extent[i].off, l->extent[i].len);
}

/* ---- clusters that may have other references ------------------------------------- */

static int compare_bitmap_extents(const void *a, const void *b)
{
	const struct qc_free_extent *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

void qc_bitmap_removal_sort(struct qc_free_list *l)
{
	if (l->n)
		qsort(l->extent, l->n, sizeof(*l->extent), compare_bitmap_extents);
}

/* Frees as many references of a cluster as its refcount has too many. */
static qc_err free_surplus(struct qc_writer *w, struct qc_reference_count *m, uint64_t cluster)
{
	uint64_t references = qc_reference_count_of(m, cluster), refcount;
	qc_err r = qc_alloc_refcount(&w->alloc, cluster, &refcount);

	for (; !r && references < refcount; references++)
		qc_alloc_defer_free(&w->alloc, cluster << m->bits, UINT64_C(1) << m->bits);
	return r;
}

/* Frees the clusters of the extents that are in the window.  Extents are sorted, and may
 * overlap. */
static qc_err free_window(struct qc_writer *w, struct qc_reference_count *m,
			  const struct qc_free_list *l)
{
	uint64_t next = m->first, end = qc_reference_count_end(m);
	qc_err r = 0;

	for (size_t i = 0; !r && i < l->n; i++) {
		uint64_t c = max_u64(next, l->extent[i].off >> m->bits);
		uint64_t behind = div_up(l->extent[i].off + l->extent[i].len, UINT64_C(1) << m->bits);

		for (; !r && c < min_u64(behind, end); c++)
			r = free_surplus(w, m, c);
		next = max_u64(next, min_u64(behind, end));
	}
	return r;
}

qc_err qc_bitmap_removal_free_unreferenced(struct qc_writer *w, struct qc_free_list *l)
{
	struct qc_reference_count m;
	qc_err r;

	if (!l->n || !w->alloc.has_refcounts)
		return 0;
	qc_bitmap_removal_sort(l);
	r = qc_reference_count_open(&m, &w->metadata);
	/* With damaged tables it is not known what is referenced. */
	for (uint64_t first = 0; !r && first < m.n; first += QC_REF_WINDOW) {
		r = qc_reference_count_run(&m, first);
		if (!r)
			r = free_window(w, &m, l);
	}
	qc_reference_count_close(&m);
	return r;
}
