/* SPDX-License-Identifier: MIT */
#include "amend/compact_plan.h"

#include <errno.h>
#include <string.h>

#include "base/range.h"
#include "format/l2_entry.h"
#include "qcow_array.h"

enum { BINS = 16, RUN_MAX = 3 };

/* ---- refcounts -------------------------------------------------------------------- */

/* A cluster that no refcount block covers is not used: a block would have to be made. */
qc_err qc_compact_plan_find_free(struct qc_writer *w, uint64_t from, uint64_t limit, uint64_t n,
			    uint64_t *first)
{
	struct qc_refcounts *rc = &w->alloc.refcounts;
	uint64_t run = 0, count = 0;
	qc_err r = 0;

	qc_lock(&w->alloc.lock);
	*first = limit;
	for (uint64_t c = max_u64(from, 1); !r && c < limit; c++) {
		r = qc_refcounts_get(rc, c, &count);
		run = count || !qc_refcounts_has_block(rc, c) ? 0 : run + 1;
		if (run < n)
			continue;
		*first = c + 1 - n;
		break;
	}
	qc_unlock(&w->alloc.lock);
	return r;
}

/* ---- the plan --------------------------------------------------------------------- */

qc_err qc_compact_plan_new(struct qc_compact_plan *p, struct qc_writer *w, uint64_t lo, uint64_t n)
{
	*p = (struct qc_compact_plan){ .w = w, .g = &w->layer->head.geom, .lo = lo, .n = n };
	p->kind = calloc(n + 1, sizeof(*p->kind));
	p->to = calloc(n + 1, sizeof(*p->to));
	return p->kind && p->to ? 0 : -ENOMEM;
}

void qc_compact_plan_free(struct qc_compact_plan *p)
{
	free(p->kind);
	free(p->to);
	free(p->compressed);
}

uint64_t qc_compact_plan_relocate(const struct qc_compact_plan *p, uint64_t off)
{
	uint64_t cs = geom_cluster(p->g), c = off >> p->g->cluster_bits;

	if (c < p->lo || c >= p->lo + p->n || !p->to[c - p->lo])
		return off;
	return p->to[c - p->lo] + (off & (cs - 1));
}

static int compare_compressed(const void *a, const void *b)
{
	const struct qc_compact_compressed *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

const struct qc_compact_compressed *qc_compact_plan_compressed_at(const struct qc_compact_plan *p,
						      uint64_t from)
{
	struct qc_compact_compressed key = { .from = from }, *found = NULL;

	if (p->ncompressed)
		found = bsearch(&key, p->compressed, p->ncompressed, sizeof(key), compare_compressed);
	return found && found->to ? found : NULL;
}

/* ---- collecting ------------------------------------------------------------------- */

static void mark_clusters(struct qc_compact_plan *p, uint64_t off, uint64_t len,
			  enum qc_compact_kind kind)
{
	uint64_t first = max_u64(off >> p->g->cluster_bits, p->lo);
	uint64_t end = min_u64(div_up(off + len, geom_cluster(p->g)), p->lo + p->n);

	for (uint64_t c = first; c < end; c++)
		if (p->kind[c - p->lo] < kind)
			p->kind[c - p->lo] = (uint8_t)kind;
}

static bool is_in_region(const struct qc_compact_plan *p, uint64_t off, uint64_t len)
{
	return range_overlap(off, len, p->lo << p->g->cluster_bits, p->n << p->g->cluster_bits);
}

static qc_err collect_compressed_entry(struct qc_compact_plan *p, const struct l2_entry *e)
{
	qc_err r;

	if (!is_in_region(p, e->host.v, e->compressed_len))
		return 0;
	mark_clusters(p, e->host.v, e->compressed_len, QC_COMPACT_COMPRESSED);
	r = array_reserve(&p->compressed, &p->compressed_room, p->ncompressed + 1, sizeof(*p->compressed));
	if (r)
		return r;
	p->compressed[p->ncompressed++] = (struct qc_compact_compressed){
		.from = e->host.v, .len = e->compressed_len, .old_len = e->compressed_len, .refs = 1,
	};
	return 0;
}

static qc_err collect_l2_table(struct qc_compact_plan *p, const struct qc_metadata_item *item)
{
	qc_err r = 0;

	mark_clusters(p, item->off, item->len, QC_COMPACT_TABLE);
	for (uint64_t i = 0; !r && !p->g->external && i < UINT64_C(1) << p->g->l2_bits; i++) {
		struct l2_entry e;

		r = l2_entry_at(p->g, item->bytes, i, &e);
		if (!r && e.kind == QC_COMPRESSED)
			r = collect_compressed_entry(p, &e);
		else if (!r && e.host.v)
			mark_clusters(p, e.host.v, 1, QC_COMPACT_DATA);
	}
	return r;
}

static qc_err collect_metadata_item(void *arg, struct qc_metadata_item *item)
{
	struct qc_compact_plan *p = arg;

	if (item->invalid)
		return -EIO;
	if (item->kind == QC_METADATA_L2_TABLE)
		return collect_l2_table(p, item);
	mark_clusters(p, item->off, item->len, item->len <= geom_cluster(p->g) && item->off ?
		      QC_COMPACT_TABLE : QC_COMPACT_FIXED);
	return 0;
}

/* Merges references to one compressed cluster.  It ends at the latest where the next one begins:
 * the entry counts whole sectors. */
static void merge_compressed(struct qc_compact_plan *p)
{
	size_t n = 0;

	if (p->ncompressed)
		qsort(p->compressed, p->ncompressed, sizeof(*p->compressed), compare_compressed);
	for (size_t i = 0; i < p->ncompressed; i++) {
		if (n && p->compressed[n - 1].from == p->compressed[i].from)
			p->compressed[n - 1].refs++;
		else
			p->compressed[n++] = p->compressed[i];
	}
	p->ncompressed = n;
	for (size_t i = 0; i + 1 < n; i++)
		p->compressed[i].len = (uint32_t)min_u64(p->compressed[i].len,
						     p->compressed[i + 1].from - p->compressed[i].from);
}

qc_err qc_compact_plan_collect(struct qc_compact_plan *p)
{
	qc_err r = qc_metadata_for_each(&p->w->metadata, QC_WALK_READ_L2, collect_metadata_item, p);

	merge_compressed(p);
	return r;
}

/* ---- choosing ---------------------------------------------------------------------- */

/* A run of chosen clusters with room behind the compressed clusters in it. */
struct bin {
	uint64_t at, end; /* host offsets */
};

/* Finds the next @n free clusters before @limit.  Free clusters only become fewer. */
static qc_err next_hole(struct qc_compact_plan *p, uint64_t n, uint64_t limit, uint64_t *first)
{
	qc_err r = qc_compact_plan_find_free(p->w, p->hole[n], limit, n, first);

	p->hole[n] = r || *first == limit ? p->hole[n] : *first;
	return r;
}

static qc_err choose_for(struct qc_compact_plan *p, uint64_t c, uint64_t dest)
{
	uint64_t count;
	qc_err r = qc_alloc_refcount(&p->w->alloc, c, &count);

	if (!r && !count)
		r = -EIO; /* referenced, and free */
	if (!r)
		r = qc_alloc_set_refcount(&p->w->alloc, dest, count);
	if (!r) {
		p->to[c - p->lo] = dest << p->g->cluster_bits;
		p->moved += geom_cluster(p->g);
	}
	return r;
}

/* Returns true if each cluster of an extent can get @refs more references. */
static qc_err counts_have_room(struct qc_compact_plan *p, uint64_t off, uint64_t len, uint64_t refs,
			       bool *room)
{
	uint64_t end = div_up(off + len, geom_cluster(p->g)), count;
	qc_err r = 0;

	*room = true;
	for (uint64_t c = off >> p->g->cluster_bits; !r && c < end; c++) {
		r = qc_alloc_refcount(&p->w->alloc, c, &count);
		*room = *room && !r && count <= qc_refcount_max(p->w->alloc.refcounts.order) - refs;
	}
	return r;
}

/* Adds @by to the refcounts of an extent. */
static qc_err add_counts(struct qc_compact_plan *p, uint64_t off, uint64_t len, uint64_t by)
{
	uint64_t end = div_up(off + len, geom_cluster(p->g)), count;
	qc_err r = 0;

	for (uint64_t c = off >> p->g->cluster_bits; !r && c < end; c++) {
		r = qc_alloc_refcount(&p->w->alloc, c, &count);
		if (!r)
			r = qc_alloc_set_refcount(&p->w->alloc, c, count + by);
	}
	return r;
}

/* Finds the bin with the least room that is enough, before host offset @limit.  -1: none. */
static int find_bin(const struct bin *bins, uint32_t len, uint64_t limit)
{
	int best = -1;

	for (int i = 0; i < BINS; i++)
		if (bins[i].end - bins[i].at >= len && bins[i].end <= limit &&
		    (best < 0 || bins[i].end - bins[i].at < bins[best].end - bins[best].at))
			best = i;
	return best;
}

/* Replaces the bin with the least room by new clusters before @limit.  *bin is -1 if there are
 * none. */
static qc_err open_bin(struct qc_compact_plan *p, struct bin *bins, uint32_t len, uint64_t limit,
		       int *bin)
{
	uint64_t n = div_up(len, geom_cluster(p->g)), first;
	qc_err r = next_hole(p, n, limit, &first);

	*bin = -1;
	if (r || first == limit)
		return r;
	*bin = 0;
	for (int i = 1; i < BINS; i++)
		if (bins[i].end - bins[i].at < bins[*bin].end - bins[*bin].at)
			*bin = i;
	bins[*bin] = (struct bin){ first << p->g->cluster_bits, (first + n) << p->g->cluster_bits };
	return 0;
}

/* Chooses room for a compressed cluster before the cluster @limit.  *chosen: there was some. */
static qc_err pack_one(struct qc_compact_plan *p, struct bin *bins, struct qc_compact_compressed *x,
		       uint64_t limit, bool *chosen)
{
	int i = find_bin(bins, x->len, limit << p->g->cluster_bits);
	bool room = false;
	qc_err r = 0;

	*chosen = false;
	if (i >= 0)
		r = counts_have_room(p, bins[i].at, x->len, x->refs, &room);
	if (!r && !room)
		r = open_bin(p, bins, x->len, limit, &i);
	if (r || i < 0)
		return r;
	r = add_counts(p, bins[i].at, x->len, x->refs);
	if (r)
		return r;
	x->to = bins[i].at;
	bins[i].at += x->len;
	p->moved += x->len;
	*chosen = true;
	return 0;
}

/* Chooses room for all compressed clusters that reach cluster @c or one behind it. */
static qc_err pack_down_to(struct qc_compact_plan *p, struct bin *bins, size_t *left, uint64_t c,
			   bool *chosen)
{
	uint64_t off = c << p->g->cluster_bits;
	qc_err r = 0;

	*chosen = true;
	while (!r && *chosen && *left && p->compressed[*left - 1].from + p->compressed[*left - 1].old_len > off) {
		struct qc_compact_compressed *x = &p->compressed[*left - 1];

		if (div_up(x->len, geom_cluster(p->g)) > RUN_MAX)
			*chosen = false;
		else
			r = pack_one(p, bins, x, x->from >> p->g->cluster_bits, chosen);
		*left -= *chosen;
	}
	return r;
}

/* Gives cluster @c the free cluster of cluster @d, and the reverse. */
static qc_err swap_choices(struct qc_compact_plan *p, uint64_t c, uint64_t d)
{
	uint64_t to = p->to[c], at = p->to[d], ccount, dcount;
	qc_err r = qc_alloc_refcount(&p->w->alloc, p->lo + c, &ccount);

	if (!r)
		r = qc_alloc_refcount(&p->w->alloc, p->lo + d, &dcount);
	if (!r && ccount != dcount) {
		r = qc_alloc_set_refcount(&p->w->alloc, at >> p->g->cluster_bits, ccount);
		if (!r)
			r = qc_alloc_set_refcount(&p->w->alloc, to >> p->g->cluster_bits, dcount);
	}
	if (!r) {
		p->to[c] = at;
		p->to[d] = to;
	}
	return r;
}

/* The last cluster got the first free cluster, and so on.  Reverses that, so that clusters in a
 * row stay in a row, and one request reads them. */
static qc_err keep_order_of_clusters(struct qc_compact_plan *p)
{
	uint64_t c = 0, d = p->n;
	qc_err r = 0;

	while (!r) {
		while (c < d && !p->to[c])
			c++;
		while (d > c && !p->to[d - 1])
			d--;
		if (d - c < 2)
			break;
		r = swap_choices(p, c++, --d);
	}
	return r;
}

qc_err qc_compact_plan_downward(struct qc_compact_plan *p)
{
	struct bin bins[BINS] = { 0 };
	size_t left = p->ncompressed;
	bool chosen = true;
	qc_err r = 0;

	for (uint64_t c = p->lo + p->n; !r && chosen && c-- > p->lo;) {
		uint64_t dest;

		if (p->kind[c - p->lo] == QC_COMPACT_COMPRESSED)
			r = pack_down_to(p, bins, &left, c, &chosen);
		if (!qc_compact_is_single(p->kind[c - p->lo]))
			continue;
		r = next_hole(p, 1, c, &dest);
		chosen = !r && dest < c;
		if (chosen)
			r = choose_for(p, c, dest);
	}
	return r ? r : keep_order_of_clusters(p);
}

qc_err qc_compact_plan_evict(struct qc_compact_plan *p, uint64_t limit)
{
	uint64_t dest, from = 1;
	qc_err r = 0;

	for (uint64_t c = p->lo; !r && c < p->lo + p->n; c++) {
		if (!qc_compact_is_single(p->kind[c - p->lo]))
			continue;
		do {
			r = qc_compact_plan_find_free(p->w, from, limit, 1, &dest);
			from = dest + 1;
		} while (!r && dest < limit && dest >= p->lo && dest < p->lo + p->n);
		if (!r && dest == limit)
			return -ENOSPC;
		if (!r)
			r = choose_for(p, c, dest);
	}
	return r;
}

qc_err qc_compact_plan_run(struct qc_compact_plan *p, uint64_t dest)
{
	qc_err r = 0;

	for (uint64_t i = 0; !r && i < p->n; i++)
		r = choose_for(p, p->lo + i, dest + i);
	return r;
}

void qc_compact_plan_cancel(struct qc_compact_plan *p)
{
	for (uint64_t i = 0; i < p->n; i++) {
		if (p->to[i])
			qc_alloc_set_refcount(&p->w->alloc, p->to[i] >> p->g->cluster_bits, 0);
		p->to[i] = 0;
	}
	for (size_t i = 0; i < p->ncompressed; i++) {
		uint64_t first = p->compressed[i].to >> p->g->cluster_bits;
		uint64_t end = div_up(p->compressed[i].to + p->compressed[i].len, geom_cluster(p->g));

		for (uint64_t c = first; p->compressed[i].to && c < end; c++)
			qc_alloc_set_refcount(&p->w->alloc, c, 0);
		p->compressed[i].to = 0;
	}
}
