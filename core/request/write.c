/* SPDX-License-Identifier: MIT */
/*
 * write.c - a request to change bytes.
 *
 *	qc_write_inflight -> qc_map_lookup_writable -> the file          in place
 *	qc_write_inflight -> make_room -> own, data, link             all other clusters
 *
 * Room is made for a run of clusters at a time, which is claimed meanwhile, and
 * has its entries in one slice of an L2 table.  What the request leaves out of
 * its first and last cluster is copied from the disk as it was.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "layer/guest_data.h"
#include "base/failpoint.h"
#include "image/image.h"
#include "base/range.h"
#include "request/request.h"
#include "update/abort.h"
#include "update/checkpoint.h"
#include "update/l2_table.h"
#include "update/overlap_check.h"

enum { ROOM_CLUSTERS = 128 }; /* most for which room is made in one go */

struct room {
	struct qc_image *img;
	struct qc_writer *w;
	struct goff start; /* of the first cluster */
	uint64_t n;	   /* clusters */
	struct hoff table, host;
	bool keep;   /* a place is all that is wanted: the bytes stay */
	bool reuse;  /* host is what the entry names already */
	bool never_written; /* host reads as zeros */
	struct l2_entry old[ROOM_CLUSTERS];
	struct qc_l2_raw words[ROOM_CLUSTERS];
};

/* ---- what must be kept ---------------------------------------------------- */

/* Copies [from, end) of the disk, as it is, to its place in the new clusters.
 * Behind the end of the disk there are zeros. */
static qc_err copy(struct room *m, uint64_t from, uint64_t end)
{
	uint64_t len = end - from, in = range_clamp(from, len, qc_size(m->img));
	struct goff at = { from };
	struct hoff host = { m->host.v + (from - m->start.v) };
	AUTO_FREE uint8_t *buf = calloc(1, len ? len : 1);
	qc_err r;

	if (!len)
		return 0;
	if (!buf)
		return -ENOMEM;
	r = in ? qc_read_inflight(m->img, from, buf, in) : 0;
	if (r)
		return r;
	/* (Not the whole of a cluster: it could lie behind the end of the file.  And
	 * zeros of an encrypted file are no zeros of the disk.) */
	if (m->never_written && !m->w->layer->crypt && !m->keep && !buf[0] &&
	    !memcmp(buf, buf + 1, len - 1))
		return 0;
	return qc_guest_data_write(m->w->layer, m->w->data, at, host, buf, len);
}

/* Of the one cluster, subcluster by subcluster: the parts of what must be valid
 * (`need`) that the request does not write. */
static qc_err copy_subclusters(struct room *m, uint32_t need, uint64_t off, uint64_t end)
{
	uint64_t size = geom_subcluster(&m->w->layer->head.geom);
	qc_err r = 0;

	for (unsigned int s = 0; !r && s < SUBCLUSTERS; s++) {
		uint64_t a = m->start.v + s * size, b = a + size;

		if (!(need >> s & 1))
			continue;
		if (end <= a || off >= b || off == end) {
			r = copy(m, a, b);
			continue;
		}
		if (off > a)
			r = copy(m, a, off);
		if (!r && end < b)
			r = copy(m, end, b);
	}
	return r;
}

/* Subclusters that [off, end) touches. */
static uint32_t touched(const struct geom *g, uint64_t start, uint64_t off, uint64_t end)
{
	uint64_t size = geom_subcluster(g), a, b;

	off = max_u64(off, start) - start;
	end = min_u64(end, start + geom_cluster(g)) - start;
	a = off / size;
	b = (end + size - 1) / size;
	return (uint32_t)((UINT64_C(1) << b) - (UINT64_C(1) << a));
}

static qc_err copy_kept(struct room *m, uint64_t off, uint64_t end)
{
	const struct geom *g = &m->w->layer->head.geom;
	uint64_t stop = m->start.v + m->n * geom_cluster(g);
	const struct l2_entry *e = &m->old[0];
	uint32_t need;
	qc_err r;

	if (geom_is_extended(g)) { /* one cluster */
		need = touched(g, m->start.v, off, end);
		if (m->reuse)
			need &= ~e->alloc;
		else
			need |= e->kind == QC_COMPRESSED ? UINT32_MAX : e->alloc;
		return copy_subclusters(m, need, off, m->keep ? off : end);
	}
	if (m->keep)
		return copy(m, m->start.v, stop);
	r = copy(m, m->start.v, off);
	return r ? r : copy(m, end, stop);
}

/* ---- entries -------------------------------------------------------------- */

/* Whether the cluster needs more than its data written. */
static bool needs_room(const struct geom *g, const struct l2_entry *e)
{
	if (geom_is_extended(g))
		return !(e->copied && e->alloc == UINT32_MAX);
	return !(e->kind == QC_DATA && e->copied);
}

/* Reads the entries of the run, and cuts it where one needs no room. */
static qc_err read_entries(struct room *m)
{
	struct qc_layer *l = m->w->layer;
	const struct geom *g = &l->head.geom;
	qc_err r = qc_map_l2_get(l, m->table, m->start, m->n, m->words);

	for (uint64_t k = 0; !r && k < m->n; k++) {
		if (l2_entry_decode(g, m->words[k].word, m->words[k].bits, &m->old[k]))
			return qc_writer_mark_corrupt(m->w, "the L2 entry for guest offset 0x%" PRIx64
						 " is damaged",
						 m->start.v + k * geom_cluster(g));
		if (!needs_room(g, &m->old[k]) ||
		    (k && l2_entry_has_host(g, &m->old[k]) && m->old[k].copied)) {
			m->n = k;
			break;
		}
	}
	return r;
}

/* Places for the clusters; fewer than asked for, perhaps. */
static qc_err own(struct room *m)
{
	const struct geom *g = &m->w->layer->head.geom;
	uint64_t got;
	qc_err r;

	m->reuse = m->never_written = false;
	if (g->external) {
		m->host.v = m->start.v;
		m->reuse = l2_entry_has_host(g, &m->old[0]);
		return 0;
	}
	if (l2_entry_has_host(g, &m->old[0]) && m->old[0].copied) {
		m->host = m->old[0].host;
		m->reuse = true;
		m->n = 1;
		return 0;
	}
	r = qc_alloc_clusters(&m->w->alloc, QC_ALLOC_DATA, m->n, &m->host, &got, &m->never_written);
	if (!r)
		m->n = got;
	return r;
}

static void disown(struct room *m)
{
	if (!m->reuse && !m->w->layer->head.geom.external)
		qc_alloc_cancel(&m->w->alloc, m->host, m->n);
}

static qc_err link_clusters(struct room *m, uint64_t off, uint64_t end)
{
	struct qc_layer *l = m->w->layer;
	const struct geom *g = &l->head.geom;

	for (uint64_t k = 0; k < m->n; k++) {
		uint64_t host = m->host.v + k * geom_cluster(g);
		uint32_t now = touched(g, m->start.v + k * geom_cluster(g), off, end);
		const struct l2_entry *e = &m->old[k];

		m->words[k].word = g->layout == LAYOUT_V1 ? host : host | L2_COPIED;
		if (geom_is_extended(g))
			m->words[k].bits =
				(e->kind == QC_COMPRESSED ? UINT32_MAX : e->alloc | now) |
				(uint64_t)(e->zero & ~now) << SUBCLUSTERS;
	}
	return qc_map_l2_set(l, m->table, m->start, m->n, m->words);
}

void qc_defer_free_entry(struct qc_writer *w, const struct l2_entry *e)
{
	const struct geom *g = &w->layer->head.geom;

	if (g->external)
		return;
	if (e->kind == QC_COMPRESSED)
		qc_alloc_defer_free(&w->alloc, e->host.v, e->compressed_len);
	else if (e->host.v)
		qc_alloc_defer_free(&w->alloc, e->host.v, geom_cluster(g));
}

/* ---- making room ---------------------------------------------------------- */

/* Writes `len` bytes at off to new places.  *done may be less, and 0 where
 * somebody else has made room meanwhile. */
static qc_err fill_room(struct room *m, uint64_t off, const uint8_t *buf, uint64_t len,
			uint64_t *done)
{
	const struct geom *g = &m->w->layer->head.geom;
	struct hoff host;
	uint64_t end;
	qc_err r = own(m);

	if (!r)
		r = qc_overlap_check_write(m->w, m->host, m->n * geom_cluster(g));
	if (r)
		return r;
	end = min_u64(off + len, m->start.v + m->n * geom_cluster(g));
	r = copy_kept(m, off, end);
	host.v = m->host.v + (off - m->start.v);
	if (!r && !m->keep)
		r = qc_guest_data_write(m->w->layer, m->w->data, (struct goff){ off }, host, buf,
					end - off);
	if (!r && FAIL_POINT("write.before-link"))
		r = -EIO;
	if (!r)
		r = link_clusters(m, off, end);
	if (r) {
		disown(m);
		return r;
	}
	for (uint64_t k = 0; !m->reuse && k < m->n; k++)
		qc_defer_free_entry(m->w, &m->old[k]);
	*done = end - off;
	return 0;
}

static qc_err try_room(struct room *m, uint64_t off, const uint8_t *buf, uint64_t len,
		       uint64_t *done)
{
	struct qc_map_extent x;
	qc_err r = qc_map_lookup_writable(m->w->layer, (struct goff){ off }, len, &x);

	*done = 0;
	if (r || (x.kind == QC_DATA && (x.owned || m->keep)))
		return r;
	r = qc_writer_l2_table(m->w, m->start, &m->table);
	if (!r)
		r = read_entries(m);
	if (r || !m->n)
		return r;
	return fill_room(m, off, buf, len, done);
}

struct room_attempt {
	struct room m;
	uint64_t most, off, len, *done;
	const uint8_t *buf;
};

static qc_err attempt_room(void *arg)
{
	struct room_attempt *a = arg;

	a->m.n = a->most;
	return try_room(&a->m, a->off, a->buf, a->len, a->done);
}

/* Without a buffer, the clusters get places and keep their bytes. */
static qc_err make_room(struct qc_image *img, uint64_t off, const uint8_t *buf, uint64_t len,
			uint64_t *done)
{
	struct qc_layer *l = img->layer[0];
	const struct geom *g = &l->head.geom;
	struct room_attempt a = { { .img = img, .w = l->writer, .keep = !buf }, 0, off, len, done,
				  buf };
	struct qc_locked_range claim;
	qc_err r;

	a.m.start.v = off - geom_in_cluster(g, (struct goff){ off });
	a.most = min_u64(qc_map_slice_clusters(l, a.m.start),
		       geom_is_extended(g) ? 1 : ROOM_CLUSTERS);
	a.most = min_u64(a.most, div_up(off + len - a.m.start.v, geom_cluster(g)));
	qc_range_lock(&a.m.w->range_locks, &claim, a.m.start.v, a.m.start.v + a.most * geom_cluster(g));
	r = qc_with_checkpoints(a.m.w, attempt_room, &a);
	qc_range_unlock(&a.m.w->range_locks, &claim);
	return r;
}

/* A lookup failed.  If that was an entry that cannot be, nothing more is
 * written; if it was the file that could not be read, it may yet be. */
static qc_err blame_tables(struct qc_writer *w, struct goff at, qc_err r)
{
	const struct geom *g = &w->layer->head.geom;
	struct qc_l2_raw words;
	struct hoff table;
	struct l2_entry e;
	uint64_t raw;

	if (r != -EIO || qc_map_l1_get(w->layer, at, &raw))
		return r;
	if (l1_decode(g, raw, &table))
		return qc_writer_mark_corrupt(w, "the L1 entry for guest offset 0x%" PRIx64
					 " is damaged", at.v);
	if (!table.v || qc_map_l2_get(w->layer, table, at, 1, &words))
		return r;
	if (l2_entry_decode(g, words.word, words.bits, &e))
		return qc_writer_mark_corrupt(w, "the L2 entry for guest offset 0x%" PRIx64
					 " is damaged", at.v);
	return r;
}

/* --------------------------------------------------------------------------- */

qc_err qc_write_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf, uint64_t len)
{
	struct qc_layer *l = img->layer[0];
	struct qc_writer *w = l->writer;
	qc_err r = qc_writer_prepare(w);

	while (!r && len) {
		struct qc_map_extent x;
		uint64_t done = 0;

		r = qc_map_lookup_writable(l, (struct goff){ off }, len, &x);
		if (r)
			r = blame_tables(w, (struct goff){ off }, r);
		if (!r && x.kind == QC_DATA && x.owned) {
			done = x.len;
			r = qc_overlap_check_write(w, x.host, x.len);
			if (!r)
				r = qc_guest_data_write(l, w->data, (struct goff){ off }, x.host,
							buf, x.len);
		} else if (!r) {
			r = make_room(img, off, buf, len, &done);
		}
		off += done;
		buf += done;
		len -= done;
	}
	return r;
}

qc_err qc_allocate_inflight(struct qc_image *img, uint64_t off, uint64_t len)
{
	struct qc_layer *l = img->layer[0];
	qc_err r = qc_writer_prepare(l->writer);

	while (!r && len) {
		struct qc_map_extent x;
		uint64_t done = 0;

		r = qc_map_lookup(l, (struct goff){ off }, len, &x);
		if (r)
			r = blame_tables(l->writer, (struct goff){ off }, r);
		else if (x.kind == QC_DATA)
			done = x.len;
		else
			r = make_room(img, off, NULL, x.len, &done);
		off += done;
		len -= done;
	}
	return r;
}
