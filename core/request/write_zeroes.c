/* SPDX-License-Identifier: MIT */
/*
 * write_zeroes.c - requests that make bytes read as zeros, or give clusters a place.
 *
 * Whole clusters (or subclusters) get an entry that says zero, lest a backing
 * file shows through; version 2 can do without only where there is none.  For
 * all else zeros are written, unless the bytes are known to be zeros already.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "request/request.h"
#include "update/abort.h"
#include "update/checkpoint.h"
#include "update/l2_table.h"

enum { SLICE_CLUSTERS = 128, WRITE_BYTES = 64 * 1024 };

struct zero {
	struct qc_image *img;
	struct qc_writer *w;
	const struct geom *g;
	bool keep;	/* places stay allocated */
	uint64_t unit;	/* what an entry can say is zero; 0: nothing */
};

/* ---- writing zeros -------------------------------------------------------- */

/* How far the disk is known to read as zeros from off on. */
static qc_err known_zeros(struct qc_image *img, uint64_t off, uint64_t end, uint64_t *len)
{
	struct qc_walk w;

	*len = 0;
	qc_walk_begin(&w, img, off, end);
	while (w.at < end) {
		struct qc_step s;
		qc_err r = qc_walk_step(&w, &s);

		if (r)
			return r;
		if (s.x.kind != QC_ZERO)
			break;
		*len += s.x.len;
	}
	return 0;
}

static qc_err write_zeros(struct qc_image *img, uint64_t off, uint64_t end)
{
	static const uint8_t zeros[WRITE_BYTES];
	qc_err r = 0;

	while (!r && off < end) {
		uint64_t skip, n;

		r = known_zeros(img, off, end, &skip);
		off += skip;
		/* Ends at a sector, so that a crash tears none: a sector is written once. */
		n = min_u64(end - off, sizeof(zeros) - off % 512);
		if (!r && n)
			r = qc_write_inflight(img, off, zeros, n);
		off += n;
	}
	return r;
}

/* ---- entries -------------------------------------------------------------- */

/* What of the cluster at `start` lies in [off, end), as subclusters. */
static uint32_t covered(const struct geom *g, uint64_t start, uint64_t off, uint64_t end)
{
	uint64_t size = geom_subcluster(g), cs = geom_cluster(g);
	uint64_t a = off > start ? (off - start) / size : 0;
	uint64_t b = end < start + cs ? (end - start) / size : SUBCLUSTERS;

	return (uint32_t)((UINT64_C(1) << b) - (UINT64_C(1) << a));
}

/* Some subclusters of a cluster: its place stays. */
static void zero_subclusters(const struct l2_entry *e, uint32_t which, struct qc_l2_raw *words)
{
	words->bits = (e->alloc & ~which) | (uint64_t)(e->zero | which) << SUBCLUSTERS;
}

/* A whole cluster.  True if what the entry named is an orphan now. */
static bool zero_cluster(const struct zero *z, const struct l2_entry *e, struct qc_l2_raw *words)
{
	const struct geom *g = z->g;
	bool extended = geom_is_extended(g), v2 = g->layout == LAYOUT_V2;
	bool stays = l2_entry_has_host(g, e) && e->copied && (z->keep || g->external) && !v2;
	bool nothing = e->kind == QC_UNALLOCATED && !l2_entry_has_host(g, e) && !e->zero;

	if (nothing && z->img->depth == 1)
		return false;
	words->bits = extended ? (uint64_t)UINT32_MAX << SUBCLUSTERS : 0;
	if (stays)
		words->word |= extended ? 0 : L2_ZERO;
	else
		words->word = extended || v2 ? 0 : L2_ZERO;
	return !stays && !g->external && (e->kind == QC_COMPRESSED || l2_entry_has_host(g, e));
}

/* [off, end) has its entries in one slice. */
static qc_err zero_slice(const struct zero *z, struct hoff table, uint64_t off, uint64_t end)
{
	const struct geom *g = z->g;
	struct goff first = { off - geom_in_cluster(g, (struct goff){ off }) };
	uint64_t n = div_up(end - first.v, geom_cluster(g));
	struct qc_l2_raw words[SLICE_CLUSTERS];
	struct l2_entry old[SLICE_CLUSTERS];
	bool orphan[SLICE_CLUSTERS] = { false };
	qc_err r = qc_map_l2_get(z->w->layer, table, first, n, words);

	for (uint64_t k = 0; !r && k < n; k++) {
		uint64_t start = first.v + k * geom_cluster(g);
		uint32_t which = covered(g, start, off, end);

		if (l2_entry_decode(g, words[k].word, words[k].bits, &old[k]))
			return qc_writer_mark_corrupt(z->w, "the L2 entry for guest offset 0x%" PRIx64
						 " is damaged", start);
		if (which == UINT32_MAX)
			orphan[k] = zero_cluster(z, &old[k], &words[k]);
		else if (old[k].kind == QC_COMPRESSED)
			return QC_MUST_WRITE_ZEROS; /* it must be unpacked */
		else
			zero_subclusters(&old[k], which, &words[k]);
	}
	if (!r && g->external && !z->keep)
		r = qc_file_punch(z->w->data, off, end - off) ?
			    qc_file_zero(z->w->data, off, end - off) : 0;
	if (!r)
		r = qc_map_l2_set(z->w->layer, table, first, n, words);
	for (uint64_t k = 0; !r && k < n; k++)
		if (orphan[k])
			qc_defer_free_entry(z->w, &old[k]);
	return r;
}

struct zero_attempt {
	const struct zero *z;
	uint64_t off, end;
};

static qc_err zero_claimed(void *arg)
{
	const struct zero_attempt *a = arg;
	const struct zero *z = a->z;
	struct goff at = { a->off };
	struct hoff table;
	uint64_t raw;
	qc_err r = qc_map_l1_get(z->w->layer, at, &raw);

	/* No table is made to say that nothing is nothing. */
	if (!r && !raw && z->img->depth == 1)
		return 0;
	if (!r)
		r = qc_writer_l2_table(z->w, at, &table);
	return r ? r : zero_slice(z, table, a->off, a->end);
}

static qc_err zero_units(const struct zero *z, uint64_t off, uint64_t end)
{
	uint64_t first = off - geom_in_cluster(z->g, (struct goff){ off });
	struct zero_attempt a = { z, off, end };
	struct qc_locked_range claim;
	qc_err r;

	qc_range_lock(&z->w->range_locks, &claim, first, round_up(end, geom_cluster(z->g)));
	r = qc_with_checkpoints(z->w, zero_claimed, &a);
	qc_range_unlock(&z->w->range_locks, &claim);
	return r == QC_MUST_WRITE_ZEROS ? write_zeros(z->img, off, end) : r;
}

/* ---- requests ------------------------------------------------------------- */

/* What can be said by an entry, of how much. */
static uint64_t zero_unit(const struct qc_image *img)
{
	const struct qc_header *h = &img->layer[0]->head;

	if (h->autoclear & AUTOCLEAR_RAW_DATA_FILE)
		return 0; /* the data file alone must be the disk */
	switch (h->geom.layout) {
	case LAYOUT_V1:
		return 0;
	case LAYOUT_V2:
		return img->depth == 1 ? geom_cluster(&h->geom) : 0;
	case LAYOUT_V3:
		return geom_cluster(&h->geom);
	case LAYOUT_V3_EXTENDED:
		return geom_subcluster(&h->geom);
	}
	return 0;
}

qc_err qc_write_zeroes_inflight(struct qc_image *img, uint64_t off, uint64_t len, bool keep)
{
	struct qc_layer *l = img->layer[0];
	struct zero z = { img, l->writer, &l->head.geom, keep, 0 };
	uint64_t end = off + len, head, tail, cs = geom_cluster(z.g);
	qc_err r = qc_writer_prepare(z.w); /* it may change the header */

	if (r || !len)
		return r;
	z.unit = zero_unit(img);
	if (!z.unit)
		return write_zeros(img, off, end);
	head = round_up(off, z.unit);
	/* The last cluster ends with the disk. */
	tail = end == qc_size(img) ? round_up(end, cs) : end - end % z.unit;
	if (head >= end || head >= tail) /* not one whole unit */
		return write_zeros(img, off, end);
	r = write_zeros(img, off, head);
	for (uint64_t at = head; !r && at < tail;) {
		struct goff first = { at - at % cs };
		uint64_t n = min_u64(qc_map_slice_clusters(l, first), SLICE_CLUSTERS);
		uint64_t stop = min_u64(first.v + n * cs, tail);

		r = zero_units(&z, at, stop);
		at = stop;
	}
	if (!r && tail < end)
		r = write_zeros(img, tail, end);
	return r;
}
