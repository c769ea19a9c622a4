/* SPDX-License-Identifier: MIT */
#include "metadata/pending_free.h"

#include "base/outcome.h"
#include "base/range.h"

void qc_alloc_defer_free(struct qc_alloc *a, uint64_t off, uint64_t len)
{
	if (!a->has_refcounts)
		return;
	qc_lock(&a->lock);
	qc_free_list_add(&a->pending, a->cluster_bits, off, len);
	qc_unlock(&a->lock);
}

void qc_alloc_take_pending(struct qc_alloc *a, struct qc_free_list *out)
{
	qc_lock(&a->lock);
	*out = a->pending;
	a->pending = (struct qc_free_list){ 0 };
	qc_unlock(&a->lock);
}

/* Puts the extents from number @first on back. */
static void requeue_extents(struct qc_alloc *a, struct qc_free_list *l, size_t first)
{
	qc_lock(&a->lock);
	for (size_t i = first; i < l->n; i++)
		qc_free_list_add(&a->pending, a->cluster_bits, l->extent[i].off, l->extent[i].len);
	qc_unlock(&a->lock);
}

void qc_alloc_requeue_pending(struct qc_alloc *a, struct qc_free_list *l)
{
	requeue_extents(a, l, 0);
	qc_free_list_clear(l);
}

void qc_alloc_requeue_beyond(struct qc_alloc *a, struct qc_free_list *l, size_t most)
{
	qc_free_list_merge(l, a->cluster_bits);
	if (l->n <= most)
		return;
	requeue_extents(a, l, most);
	l->n = most;
}

bool qc_alloc_has_pending(struct qc_alloc *a)
{
	bool pending;

	qc_lock(&a->lock);
	pending = a->pending.n;
	qc_unlock(&a->lock);
	return pending;
}

/* Counts the clusters from c on, before end, whose refcount is 1. */
static qc_err count_last_references(struct qc_alloc *a, uint64_t c, uint64_t end, uint64_t *n)
	NEEDS(&a->lock);
static qc_err count_last_references(struct qc_alloc *a, uint64_t c, uint64_t end, uint64_t *n)
{
	uint64_t count;
	qc_err r = 0;

	for (*n = 0; c + *n < end; ++*n) {
		r = qc_refcounts_get(&a->refcounts, c + *n, &count);
		if (r || count != 1)
			break;
	}
	return r;
}

/* Removes the clusters before c from the extent. */
static void shorten_extent(const struct qc_alloc *a, struct qc_free_extent *x, uint64_t c)
{
	uint64_t end = x->off + x->len;

	x->off = c << a->cluster_bits;
	x->len = x->off < end ? end - x->off : 0;
}

static qc_err free_extent(struct qc_alloc *a, struct qc_free_extent *x, qc_freed_fn *freed,
			  void *arg) NEEDS(&a->lock);
static qc_err free_extent(struct qc_alloc *a, struct qc_free_extent *x, qc_freed_fn *freed,
			  void *arg)
{
	uint64_t c = x->off >> a->cluster_bits, n;
	uint64_t end = div_up(x->off + x->len, UINT64_C(1) << a->cluster_bits);
	qc_err r = 0;

	while (!r && c < end) {
		r = count_last_references(a, c, end, &n);
		if (!r && n) {
			/* No other thread changes these refcounts: a cluster with one
			 * reference, a pending one, is in no table.  No more compressed
			 * data goes to these clusters. */
			qc_alloc_end_packing(a, c, c + n);
			qc_unlock(&a->lock);
			freed(arg, c << a->cluster_bits, n << a->cluster_bits);
			qc_lock(&a->lock);
			qc_alloc_note_free(a, c << a->cluster_bits, n << a->cluster_bits);
		}
		for (n = max_u64(n, 1); !r && n; n--) {
			r = qc_refcounts_add(&a->refcounts, c, -1);
			if (!r)
				shorten_extent(a, x, ++c);
		}
	}
	return r;
}

qc_err qc_alloc_free_pending(struct qc_alloc *a, struct qc_free_list *l, qc_freed_fn *freed,
			     void *arg)
{
	qc_err r = 0;
	size_t i = 0;

	qc_lock(&a->lock);
	for (; i < l->n; i++) {
		r = free_extent(a, &l->extent[i], freed, arg);
		if (r)
			break;
	}
	for (; i < l->n; i++)
		qc_free_list_add(&a->pending, a->cluster_bits, l->extent[i].off, l->extent[i].len);
	qc_unlock(&a->lock);
	qc_free_list_clear(l);
	return r;
}
