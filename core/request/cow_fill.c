/* SPDX-License-Identifier: MIT */
/*
 * cow_fill.c - the fillers for plain and for compressed clusters.
 *
 * A plain cluster holds guest data as it is, or encrypted.  The parts of the clusters that
 * the request does not write (COW regions) are copied from the disk as it was.
 */
#include "request/cow_fill.h"

#include <errno.h>

#include "base/outcome.h"
#include "base/range.h"
#include "base/zeros.h"
#include "layer/guest_data.h"
#include "request/request.h"
#include "update/data_punch.h"

/* ---- COW regions ---------------------------------------------------------- */

/* Returns true if a COW region need not be written, since the file reads as zeros there.
 * Only for part of a cluster, whose other part is written: a whole cluster might be
 * behind the end of the file.  Zeros in an encrypted file do not decrypt to zeros. */
static bool reads_as_written(const struct qc_cow_request *c, const uint8_t *buf, uint64_t len)
{
	return c->buf && c->never_written && !c->w->layer->crypt &&
	       qc_is_all_zeros(buf, len);
}

/* Returns true if the file has a hole at @host, so that zeros need not be written there. */
static bool is_hole_of_file(const struct qc_cow_request *c, uint64_t host, uint64_t len)
{
	struct qc_extent e;
	uint64_t size;

	return !qc_file_size(c->w->data, &size) && range_inside(host, len, size) &&
	       !qc_file_extent(c->w->data, host, &e) && !e.data && e.len >= len;
}

/* Stores zeros of a range as a hole, if @c allows that.  The file grows by a write of the end of the
 * range: other threads may append meanwhile, so it is not resized.  Return: 0;
 * QC_MUST_WRITE_ZEROS it must be written; else as qc_file_write() */
static qc_err leave_hole(const struct qc_cow_request *c, const uint8_t *buf, uint64_t host,
			 uint64_t len)
{
	uint64_t last = min_u64(len, SECTOR);
	qc_err r;

	if (c->filler != &qc_cow_preallocate_sparse || c->w->layer->crypt ||
	    !qc_is_all_zeros(buf, len))
		return QC_MUST_WRITE_ZEROS;
	if (is_hole_of_file(c, host, len))
		return 0;
	if (!c->never_written)
		return QC_MUST_WRITE_ZEROS;
	r = qc_file_write(c->w->data, host + len - last, buf, last);
	if (!r)
		qc_file_punch(c->w->data, host, len); /* a failure costs one block */
	return r;
}

/* Copies the guest range [from, end) to the new clusters.  Behind the end of the disk
 * there are zeros. */
static qc_err copy_cow_region(struct qc_cow_request *c, uint64_t from, uint64_t end)
{
	uint64_t len = end - from, in = range_clamp(from, len, qc_size(c->img));
	struct hoff host = { c->host.v + (from - c->start.v) };
	AUTO_FREE uint8_t *buf = calloc(1, len ? len : 1);
	qc_err r;

	if (!len)
		return 0;
	if (!buf)
		return -ENOMEM;
	r = in ? qc_read_inflight(c->img, from, buf, in) : 0;
	if (r || reads_as_written(c, buf, len))
		return r;
	r = leave_hole(c, buf, host.v, len);
	if (r != QC_MUST_WRITE_ZEROS)
		return r;
	return qc_guest_data_write(c->w->layer, c->w->data, (struct goff){ from }, host, buf, len);
}

/* Copies those subclusters of the one cluster that are set in @need, but not [off, end). */
static qc_err copy_subclusters(struct qc_cow_request *c, uint32_t need, uint64_t off, uint64_t end)
{
	uint64_t size = geom_subcluster(&c->w->layer->head.geom);
	qc_err r = 0;

	for (unsigned int s = 0; !r && s < SUBCLUSTERS; s++) {
		uint64_t a = c->start.v + s * size, b = a + size;

		if (!(need >> s & 1))
			continue;
		if (end <= a || off >= b || off == end) {
			r = copy_cow_region(c, a, b);
			continue;
		}
		if (off > a)
			r = copy_cow_region(c, a, off);
		if (!r && end < b)
			r = copy_cow_region(c, end, b);
	}
	return r;
}

/* Returns the subclusters of the cluster at @start that [off, end) touches, a bit each. */
static uint32_t touched_subclusters(const struct geom *g, uint64_t start, uint64_t off,
				    uint64_t end)
{
	uint64_t size = geom_subcluster(g), a, b;

	off = max_u64(off, start) - start;
	end = min_u64(end, start + geom_cluster(g)) - start;
	a = off / size;
	b = (end + size - 1) / size;
	return (uint32_t)((UINT64_C(1) << b) - (UINT64_C(1) << a));
}

/* Returns the subclusters that must hold data when the request is done.  Those that the
 * old host cluster holds already need not be copied to it. */
static uint32_t needed_subclusters(const struct qc_cow_request *c)
{
	uint32_t need = touched_subclusters(&c->w->layer->head.geom, c->start.v, c->off, c->end);

	if (c->keeps_host)
		return need & ~c->old[0].alloc;
	return need | (c->old[0].kind == QC_COMPRESSED ? UINT32_MAX : c->old[0].alloc);
}

/* Copies all that the new clusters need but [off, end), which the caller writes. */
static qc_err copy_cow_regions(struct qc_cow_request *c, uint64_t off, uint64_t end)
{
	const struct geom *g = &c->w->layer->head.geom;
	qc_err r;

	if (geom_is_extended(g)) /* one cluster */
		return copy_subclusters(c, needed_subclusters(c), off, end);
	r = copy_cow_region(c, c->start.v, off);
	return r ? r : copy_cow_region(c, end, c->start.v + c->n * geom_cluster(g));
}

/* ---- steps ---------------------------------------------------------------- */

static bool is_copied_data(const struct qc_map_extent *x)
{
	return x->kind == QC_DATA && x->writable_in_place;
}

static bool has_host_cluster(const struct qc_map_extent *x)
{
	return x->kind == QC_DATA;
}

/* Finds host clusters.  The offset in an external data file is the guest offset.  A zero
 * cluster that has kept its host cluster gets data there. */
static qc_err allocate_host_clusters(struct qc_cow_request *c)
{
	const struct geom *g = &c->w->layer->head.geom;
	uint64_t got = c->n;
	qc_err r = 0;

	c->keeps_host = c->never_written = false;
	if (g->external) {
		c->host.v = c->start.v;
		c->keeps_host = l2_entry_has_host(g, &c->old[0]);
		qc_data_punch_cancel(c->w, c->start.v, c->n * geom_cluster(g));
	} else if (l2_entry_has_host(g, &c->old[0]) && c->old[0].copied) {
		c->host = c->old[0].host;
		c->keeps_host = true;
		got = 1;
	} else {
		r = qc_alloc_clusters(&c->w->alloc, QC_ALLOC_DATA, c->n, &c->host, &got,
				      &c->never_written);
	}
	c->n = r ? c->n : got;
	c->host_bytes = c->n * geom_cluster(g);
	return r;
}

static void cancel_clusters(struct qc_cow_request *c)
{
	if (!c->keeps_host && !c->w->layer->head.geom.external)
		qc_alloc_cancel(&c->w->alloc, c->host, c->n);
}

static qc_err fill_with_data(struct qc_cow_request *c)
{
	struct hoff host = { c->host.v + (c->off - c->start.v) };
	qc_err r = copy_cow_regions(c, c->off, c->end);

	if (r)
		return r;
	return qc_guest_data_write(c->w->layer, c->w->data, (struct goff){ c->off }, host, c->buf,
				   c->end - c->off);
}

static qc_err fill_with_copies(struct qc_cow_request *c)
{
	return copy_cow_regions(c, c->start.v, c->start.v);
}

/* Extended entries: all subclusters that the request touches become data.  The others stay
 * as they were, and become data if the old cluster was compressed. */
static void encode_plain_entries(struct qc_cow_request *c)
{
	const struct geom *g = &c->w->layer->head.geom;

	for (uint64_t k = 0; k < c->n; k++) {
		uint64_t at = k * geom_cluster(g);
		uint32_t now = touched_subclusters(g, c->start.v + at, c->off, c->end);
		const struct l2_entry *old = &c->old[k];
		struct l2_entry e = { .kind = QC_DATA, .copied = true, .host = { c->host.v + at } };

		e.alloc = old->kind == QC_COMPRESSED ? UINT32_MAX : old->alloc | now;
		e.zero = old->zero & ~now;
		c->raw[k] = l2_entry_encode(g, &e);
	}
}

const struct qc_cow_filler qc_cow_fill_data = {
	.is_done = is_copied_data,
	.allocate = allocate_host_clusters,
	.fill = fill_with_data,
	.encode = encode_plain_entries,
	.cancel = cancel_clusters,
};

const struct qc_cow_filler qc_cow_preallocate = {
	.is_done = has_host_cluster,
	.allocate = allocate_host_clusters,
	.fill = fill_with_copies,
	.encode = encode_plain_entries,
	.cancel = cancel_clusters,
};

const struct qc_cow_filler qc_cow_preallocate_sparse = {
	.is_done = has_host_cluster,
	.allocate = allocate_host_clusters,
	.fill = fill_with_copies,
	.encode = encode_plain_entries,
	.cancel = cancel_clusters,
};

/* ---- compressed data ------------------------------------------------------ */

static bool has_plain_data(const struct qc_map_extent *x)
{
	return x->kind == QC_DATA;
}

/* Finds bytes for the compressed data.  An entry holds fewer bits of its offset than one of a
 * plain cluster. */
static qc_err allocate_compressed_bytes(struct qc_cow_request *c)
{
	const struct geom *g = &c->w->layer->head.geom;
	const struct l2_entry *old = &c->old[0];
	qc_err r;

	c->keeps_host = c->never_written = false;
	c->host_bytes = c->compressed_len;
	if (old->kind == QC_DATA || (old->kind != QC_COMPRESSED && old->alloc) ||
	    (old->kind == QC_COMPRESSED && c->if_empty))
		return QC_MUST_WRITE_PLAIN;
	r = qc_alloc_bytes(&c->w->alloc, c->compressed_len, &c->host);
	if (r || compressed_offset_fits(g, c->host))
		return r;
	qc_alloc_cancel_bytes(&c->w->alloc, c->host, c->compressed_len);
	return QC_MUST_WRITE_PLAIN;
}

static void cancel_compressed_bytes(struct qc_cow_request *c)
{
	qc_alloc_cancel_bytes(&c->w->alloc, c->host, c->compressed_len);
}

static qc_err fill_with_compressed(struct qc_cow_request *c)
{
	return qc_file_write(c->w->file, c->host.v, c->compressed, c->compressed_len);
}

static void encode_compressed_entry(struct qc_cow_request *c)
{
	struct l2_entry e = { .kind = QC_COMPRESSED, .host = c->host,
			      .compressed_len = (uint32_t)c->compressed_len };

	c->raw[0] = l2_entry_encode(&c->w->layer->head.geom, &e);
}

const struct qc_cow_filler qc_cow_fill_compressed = {
	.is_done = has_plain_data, /* another request wrote it: the caller writes plain data, too */
	.allocate = allocate_compressed_bytes,
	.fill = fill_with_compressed,
	.encode = encode_compressed_entry,
	.cancel = cancel_compressed_bytes,
};
