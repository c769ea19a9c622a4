/* SPDX-License-Identifier: MIT */
#include "metadata/allocator.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/range.h"

/* ---- notes ---------------------------------------------------------------- */

qc_err qc_free_list_add(const struct qc_alloc *a, struct qc_free_list *l, uint64_t off, uint64_t len)
{
	struct qc_free_extent *last = l->n ? &l->orphan[l->n - 1] : NULL;
	uint64_t inside = (UINT64_C(1) << a->cluster_bits) - 1;

	/* Compressed ones may share a cluster, which each counts for itself. */
	if (last && last->off + last->len == off && !(off & inside)) {
		last->len += len;
		return 0;
	}
	if (array_reserve(&l->orphan, &l->room, l->n + 1, sizeof(*l->orphan)))
		return -ENOMEM;
	l->orphan[l->n++] = (struct qc_free_extent){ off, len };
	return 0;
}

/* Back to none; if the count cannot be changed now, as on a full disk, later. */
static void lower(struct qc_alloc *a, uint64_t c)
{
	if (qc_refcounts_add(&a->counts, c, -1))
		qc_free_list_add(a, &a->limbo, c << a->cluster_bits, UINT64_C(1) << a->cluster_bits);
}

/* ---- taking --------------------------------------------------------------- */

static qc_err raise_run(struct qc_alloc *a, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		qc_err r = qc_refcounts_add(&a->counts, first + i, 1);

		if (!r)
			continue;
		while (i-- > 0)
			lower(a, first + i);
		return r;
	}
	return 0;
}

/* The next free run at or after a cursor, with blocks that count it. */
static qc_err find_run(struct qc_alloc *a, uint64_t *cursor, uint64_t want, uint64_t *first,
		       uint64_t *got)
{
	uint64_t c = *cursor, count, taken;
	qc_err r;

	for (;;) {
		r = qc_refcounts_get(&a->counts, c, &count);
		if (r)
			return r;
		if (count) {
			c++;
			continue;
		}
		if (c > (uint64_t)INT64_MAX >> a->cluster_bits)
			return -EFBIG;
		if (!qc_refcounts_has_block(&a->counts, c)) /* also if that fails half way */
			a->never_written = max_u64(a->never_written, c + 1);
		r = qc_refcounts_ensure_block(&a->counts, c, &taken);
		if (r)
			return r;
		if (!taken)
			break;
		a->never_written = max_u64(a->never_written, c + taken);
		c += taken;
	}
	*cursor = *first = c;
	for (*got = 1; *got < want; ++*got) {
		uint64_t next = c + *got;

		/* The next area may have no block; it is a run of its own. */
		r = qc_refcounts_get(&a->counts, next, &count);
		if (r || count || !qc_refcounts_has_block(&a->counts, next))
			break;
	}
	return 0;
}

/* Where to look: data leaves the last low clusters to tables. */
static uint64_t *cursor_for(struct qc_alloc *a, enum qc_alloc_purpose use)
{
	if (use == QC_ALLOC_TABLE && a->low_tables)
		a->low_tables--;
	if (use == QC_ALLOC_TABLE || a->cursor >= a->low_end ||
	    a->low_end - a->cursor > a->low_tables)
		return &a->cursor;
	a->high = max_u64(a->high, a->low_end);
	return &a->high;
}

static qc_err own(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want, uint64_t *first,
		  uint64_t *got) NEEDS(&a->lock);
static qc_err own(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want, uint64_t *first,
		  uint64_t *got)
{
	uint64_t *cursor;
	qc_err r;

	if (!a->counted) { /* version 1 only grows */
		*first = a->cursor;
		*got = want;
		a->cursor += want;
		return *first + want > (uint64_t)INT64_MAX >> a->cluster_bits ? -EFBIG : 0;
	}
	cursor = cursor_for(a, use);
	r = find_run(a, cursor, want, first, got);
	if (r)
		return r;
	if (!*first)
		return -EIO; /* the header, free? */
	r = raise_run(a, *first, *got);
	if (!r)
		*cursor = *first + *got;
	return r;
}

qc_err qc_alloc_clusters(struct qc_alloc *a, enum qc_alloc_purpose use, uint64_t want, struct hoff *first,
		    uint64_t *got, bool *never_written)
{
	uint64_t c = 0;
	qc_err r;

	qc_lock(&a->lock);
	r = own(a, use, want, &c, got);
	if (!r) {
		/* Version 1 fills its clusters: its readers want whole ones. */
		*never_written = a->counted && c >= a->never_written;
		a->never_written = max_u64(a->never_written, c + *got);
	}
	qc_unlock(&a->lock);
	first->v = c << a->cluster_bits;
	return r;
}

static void freed_at(struct qc_alloc *a, uint64_t c)
{
	a->cursor = min_u64(a->cursor, c);
	a->high = min_u64(a->high, max_u64(c, a->low_end));
}

void qc_alloc_cancel(struct qc_alloc *a, struct hoff first, uint64_t n)
{
	uint64_t c = first.v >> a->cluster_bits;

	qc_lock(&a->lock);
	for (uint64_t i = 0; a->counted && i < n; i++)
		lower(a, c + i);
	if (a->counted)
		freed_at(a, c);
	qc_unlock(&a->lock);
}

/* What is found smaller on the way is given back. */
qc_err qc_alloc_contiguous(struct qc_alloc *a, uint64_t n, struct hoff *first)
{
	struct qc_free_list tried = { 0 };
	uint64_t got = 0;
	bool never_written;
	qc_err r;

	while (!(r = qc_alloc_clusters(a, QC_ALLOC_DATA, n, first, &got, &never_written)) && got < n) {
		r = qc_free_list_add(a, &tried, first->v, got << a->cluster_bits);
		if (r) {
			qc_alloc_cancel(a, *first, got);
			break;
		}
	}
	for (size_t i = 0; i < tried.n; i++)
		qc_alloc_cancel(a, (struct hoff){ tried.orphan[i].off },
			      tried.orphan[i].len >> a->cluster_bits);
	free(tried.orphan);
	return r;
}

void qc_alloc_note_free(struct qc_alloc *a, uint64_t off)
{
	freed_at(a, off >> a->cluster_bits);
}

/* ---- limbo ---------------------------------------------------------------- */

void qc_alloc_defer_free(struct qc_alloc *a, uint64_t off, uint64_t len)
{
	if (!a->counted)
		return; /* version 1 cannot say that it is free */
	qc_lock(&a->lock);
	qc_free_list_add(a, &a->limbo, off, len);
	qc_unlock(&a->lock);
}

void qc_alloc_take_pending(struct qc_alloc *a, struct qc_free_list *out)
{
	qc_lock(&a->lock);
	*out = a->limbo;
	a->limbo = (struct qc_free_list){ 0 };
	qc_unlock(&a->lock);
}

void qc_alloc_requeue_pending(struct qc_alloc *a, struct qc_free_list *l)
{
	qc_lock(&a->lock);
	for (size_t i = 0; i < l->n; i++)
		qc_free_list_add(a, &a->limbo, l->orphan[i].off, l->orphan[i].len);
	qc_unlock(&a->lock);
	free(l->orphan);
	*l = (struct qc_free_list){ 0 };
}

/* How many clusters from c on, before end, have this as their last name. */
static qc_err last_names(struct qc_alloc *a, uint64_t c, uint64_t end, uint64_t *n)
	NEEDS(&a->lock);
static qc_err last_names(struct qc_alloc *a, uint64_t c, uint64_t end, uint64_t *n)
{
	uint64_t count;
	qc_err r = 0;

	for (*n = 0; c + *n < end; ++*n) {
		r = qc_refcounts_get(&a->counts, c + *n, &count);
		if (r || count != 1)
			break;
	}
	return r;
}

/* Of the orphan, the clusters before c are done with. */
static void advance(const struct qc_alloc *a, struct qc_free_extent *o, uint64_t c)
{
	uint64_t end = o->off + o->len;

	o->off = c << a->cluster_bits;
	o->len = o->off < end ? end - o->off : 0;
}

static qc_err release_one(struct qc_alloc *a, struct qc_free_extent *o, qc_freed_fn *freed,
			  void *arg) NEEDS(&a->lock);
static qc_err release_one(struct qc_alloc *a, struct qc_free_extent *o, qc_freed_fn *freed,
			  void *arg)
{
	uint64_t c = o->off >> a->cluster_bits, n;
	uint64_t end = div_up(o->off + o->len, UINT64_C(1) << a->cluster_bits);
	qc_err r = 0;

	while (!r && c < end) {
		r = last_names(a, c, end, &n);
		if (!r && n) {
			/* Nobody else changes their counts meanwhile. */
			qc_unlock(&a->lock);
			freed(arg, c << a->cluster_bits, n << a->cluster_bits);
			qc_lock(&a->lock);
			freed_at(a, c);
		}
		for (n = max_u64(n, 1); !r && n; n--) {
			r = qc_refcounts_add(&a->counts, c, -1);
			if (!r)
				advance(a, o, ++c);
		}
	}
	return r;
}

qc_err qc_alloc_free_pending(struct qc_alloc *a, struct qc_free_list *l, qc_freed_fn *freed, void *arg)
{
	qc_err r = 0;
	size_t i = 0;

	qc_lock(&a->lock);
	for (; i < l->n; i++) {
		r = release_one(a, &l->orphan[i], freed, arg);
		if (r)
			break;
	}
	for (; i < l->n; i++) /* another time, perhaps */
		qc_free_list_add(a, &a->limbo, l->orphan[i].off, l->orphan[i].len);
	qc_unlock(&a->lock);
	free(l->orphan);
	*l = (struct qc_free_list){ 0 };
	return r;
}
