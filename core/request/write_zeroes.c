/* SPDX-License-Identifier: MIT */
/*
 * write_zeroes.c - make a range of a disk read as zeros.
 *
 * Whole clusters, or subclusters, get an L2 entry that reads as zeros, so that no backing
 * file shows through.  Version 2 has no such entry.  There an unallocated cluster reads as
 * zeros only if there is no backing file.  In all other cases zeros are written, but not
 * where the disk is known to read as zeros.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/outcome.h"
#include "base/range.h"
#include "request/request.h"
#include "request/unlink.h"
#include "update/abort.h"
#include "update/checkpoint.h"
#include "update/data_punch.h"
#include "update/l2_table.h"

enum {
	ZERO_CLUSTERS_MAX = 128, /* changed in one go */
	ZERO_WRITE_BYTES = 64 * 1024,
};

struct zero_request {
	struct qc_image *img;
	struct qc_writer *w;
	const struct geom *g;
	bool keep;	/* host clusters stay allocated */
	uint64_t unit;	/* bytes that an L2 entry can say are zeros; 0: it cannot */
};

/* ---- writing zeros -------------------------------------------------------- */

/* Sets *len to the bytes from @off on of which the tables say that they are zeros. */
static qc_err measure_known_zeros(struct qc_image *img, uint64_t off, uint64_t end, uint64_t *len)
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

static qc_err write_zero_bytes(struct qc_image *img, uint64_t off, uint64_t end)
{
	static const uint8_t zeros[ZERO_WRITE_BYTES];
	qc_err r = 0;

	while (!r && off < end) {
		uint64_t skip, n;

		r = measure_known_zeros(img, off, end, &skip);
		off += skip;
		/* Ends at a sector, so that a crash tears none: a sector is written once. */
		n = min_u64(end - off, sizeof(zeros) - off % SECTOR);
		if (!r && n)
			r = qc_write_inflight(img, off, zeros, n);
		off += n;
	}
	return r;
}

/* ---- entries -------------------------------------------------------------- */

/* Returns the subclusters of the cluster at @start that are inside of [off, end), a bit
 * each.  The range begins and ends on borders of subclusters. */
static uint32_t covered_subclusters(const struct geom *g, uint64_t start, uint64_t off,
				    uint64_t end)
{
	uint64_t size = geom_subcluster(g), cs = geom_cluster(g);
	uint64_t a = off > start ? (off - start) / size : 0;
	uint64_t b = end < start + cs ? (end - start) / size : SUBCLUSTERS;

	return (uint32_t)((UINT64_C(1) << b) - (UINT64_C(1) << a));
}

/* Makes some subclusters read as zeros.  The cluster keeps its host cluster. */
static void zero_subclusters(struct l2_entry *e, uint32_t which)
{
	e->alloc &= ~which;
	e->zero |= which;
}

/* Makes a whole cluster read as zeros.  Returns true if that unlinks its host cluster.  A
 * host cluster that stays must have COPIED set, and needs the zero flag of version 3. */
static bool zero_cluster(const struct zero_request *z, struct l2_entry *e)
{
	const struct geom *g = z->g;
	bool has_host = l2_entry_has_host(g, e), v2 = g->layout == LAYOUT_V2;
	bool stays = has_host && e->copied && (z->keep || g->external) && !v2;
	bool unlinks = !stays && !g->external && (e->kind == QC_COMPRESSED || has_host);

	if (e->kind == QC_UNALLOCATED && !has_host && !e->zero && z->img->depth == 1)
		return false;
	if (!stays)
		*e = (struct l2_entry){ 0 };
	e->kind = v2 ? QC_UNALLOCATED : QC_ZERO;
	e->alloc = 0;
	e->zero = UINT32_MAX;
	return unlinks;
}

/* Changes the entries of a range, which are in one slice.
 * Return: 0; QC_MUST_WRITE_ZEROS; as qc_writer_l2_table(). */
static qc_err zero_l2_slice(const struct zero_request *z, struct hoff table, uint64_t off,
			    uint64_t end)
{
	const struct geom *g = z->g;
	struct goff first = { off - geom_in_cluster(g, (struct goff){ off }) };
	uint64_t n = div_up(end - first.v, geom_cluster(g));
	struct qc_l2_raw raw[ZERO_CLUSTERS_MAX];
	struct l2_entry old[ZERO_CLUSTERS_MAX], e;
	bool unlinked[ZERO_CLUSTERS_MAX] = { false };
	qc_err r = qc_map_l2_get(z->w->layer, table, first, n, raw);

	for (uint64_t k = 0; !r && k < n; k++) {
		uint64_t start = first.v + k * geom_cluster(g);
		uint32_t which = covered_subclusters(g, start, off, end);

		if (l2_entry_decode(g, raw[k].word, raw[k].bits, &old[k]))
			return qc_writer_mark_corrupt(
				z->w, "the L2 entry for guest offset 0x%" PRIx64 " is damaged",
				start);
		e = old[k];
		if (which == UINT32_MAX)
			unlinked[k] = zero_cluster(z, &e);
		else if (e.kind == QC_COMPRESSED)
			return QC_MUST_WRITE_ZEROS; /* the rest must be decompressed */
		else
			zero_subclusters(&e, which);
		raw[k] = l2_entry_encode(g, &e);
	}
	if (!r)
		r = qc_map_l2_set(z->w->layer, table, first, n, raw, QC_MAP_UNLINKS);
	if (!r && g->external && !z->keep)
		qc_data_punch_later(z->w, off, end - off);
	for (uint64_t k = 0; !r && k < n; k++)
		if (unlinked[k])
			qc_unlink_defer_free(z->w, &old[k]);
	return r;
}

struct zero_attempt {
	const struct zero_request *z;
	uint64_t off, end;
};

/* Changes the entries of a range under its range lock.  Without a backing file a missing
 * L2 table reads as zeros already, and is not allocated. */
static qc_err zero_locked_range(void *arg)
{
	const struct zero_attempt *a = arg;
	const struct zero_request *z = a->z;
	struct goff at = { a->off };
	struct hoff table;
	uint64_t raw;
	qc_err r = qc_map_l1_get(z->w->layer, at, &raw);

	if (!r && !raw && z->img->depth == 1)
		return 0;
	if (!r)
		r = qc_writer_l2_table(z->w, at, &table);
	return r ? r : zero_l2_slice(z, table, a->off, a->end);
}

static qc_err zero_units(const struct zero_request *z, uint64_t off, uint64_t end)
{
	uint64_t first = off - geom_in_cluster(z->g, (struct goff){ off });
	struct zero_attempt a = { z, off, end };
	struct qc_locked_range range;
	qc_err r;

	qc_range_lock(&z->w->range_locks, &range, first, round_up(end, geom_cluster(z->g)));
	r = qc_with_checkpoints(z->w, zero_locked_range, &a);
	qc_range_unlock(&z->w->range_locks, &range);
	return r == QC_MUST_WRITE_ZEROS ? write_zero_bytes(z->img, off, end) : r;
}

/* ---- requests ------------------------------------------------------------- */

/* Returns the unit in which L2 entries of the image can say "zeros"; 0 if they cannot. */
static uint64_t zero_entry_unit(const struct qc_image *img)
{
	const struct qc_header *h = &img->layer[0]->head;

	if (h->autoclear & AUTOCLEAR_RAW_DATA_FILE)
		return 0; /* the data file alone must read as the disk */
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
	struct zero_request z = { img, l->writer, &l->head.geom, keep, 0 };
	uint64_t end = off + len, head, tail, cs = geom_cluster(z.g);
	qc_err r = qc_writer_prepare(z.w); /* before the unit: it clears autoclear bits */

	if (r || !len)
		return r;
	z.unit = zero_entry_unit(img);
	if (!z.unit)
		return write_zero_bytes(img, off, end);
	head = round_up(off, z.unit);
	/* The last cluster ends with the disk. */
	tail = end == qc_size(img) ? round_up(end, cs) : end - end % z.unit;
	if (head >= end || head >= tail) /* not one whole unit */
		return write_zero_bytes(img, off, end);
	r = write_zero_bytes(img, off, head);
	for (uint64_t at = head; !r && at < tail;) {
		struct goff first = { at - at % cs };
		uint64_t n = min_u64(qc_map_slice_clusters(l, first), ZERO_CLUSTERS_MAX);
		uint64_t stop = min_u64(first.v + n * cs, tail);

		r = zero_units(&z, at, stop);
		at = stop;
	}
	if (!r && tail < end)
		r = write_zero_bytes(img, tail, end);
	return r;
}
