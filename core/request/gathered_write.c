/* SPDX-License-Identifier: MIT */
/*
 * gathered_write.c - gather the parts of a cluster, to store it compressed.
 *
 *	qc_write_gathered -> append_part                the cluster in memory
 *	store_gathered -> qc_store_cluster_inflight     when it is whole
 *	store_gathered -> qc_write_inflight             when a request needs its bytes before
 *
 * Only parts in ascending order are gathered.  They may leave gaps where the disk reads as
 * zeros: a program that copies a sparse file writes none.  A cluster that has data in the image
 * is not gathered, since it would be stored plain.
 *
 * Another image may write to the same cluster at the same time.  A cluster without gaps has no
 * bytes but those of its writer.  One with gaps is stored as a whole only if the image still has
 * nothing there, which is checked under the range lock.  Else its parts are stored.
 */
#include <errno.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "image/gather.h"
#include "layer/context_fields.h"
#include "request/request.h"

static uint64_t cluster_size(const struct qc_image *img)
{
	return geom_cluster(&img->layer[0]->head.geom);
}

/* ---- storing -------------------------------------------------------------- */

/* Returns the bytes of the cluster to store as a whole, or 0.  Gaps are part of it if at least half
 * of the cluster was written: a small write to an empty cluster stays plain.  The last cluster of
 * the disk may be shorter. */
static uint64_t length_as_whole(const struct qc_gather *g, bool ended)
{
	uint64_t cluster = cluster_size(g->img);
	uint64_t len = min_u64(cluster, qc_size(g->img) - g->start);

	if (g->filled == cluster || (ended && g->filled == len))
		return len;
	if (!g->gaps_are_zeros || !(ended || g->passed == cluster))
		return 0;
	if (len < cluster && round_up(g->passed, SECTOR) == len)
		return len;
	return g->filled >= cluster / 2 ? len : 0;
}

static qc_err store_parts(struct qc_gather *g)
{
	qc_err r = 0;

	for (unsigned int i = 0; !r && i < g->nparts; i++)
		r = qc_write_inflight(g->img, g->start + g->part[i].from, g->buf + g->part[i].from,
				      g->part[i].end - g->part[i].from);
	return r;
}

/* Stores the cluster by its compressed data, or its parts if that is not to be. */
static qc_err store_either(struct qc_gather *g, uint64_t len, const uint8_t *compressed, size_t n)
{
	qc_err r = QC_MUST_WRITE_PLAIN;

	if (n)
		r = qc_store_compressed_inflight(g->img, g->start, len, compressed, n,
						 g->filled < len);
	return r == QC_MUST_WRITE_PLAIN ? store_parts(g) : r;
}

/* A qc_gather_store_fn.  It compresses the cluster before the request is in flight. */
static qc_err store_gathered(struct qc_gather *g, bool ended)
{
	struct qc_layer *l = g->img->layer[0];
	uint64_t len = length_as_whole(g, ended);
	AUTO_FREE uint8_t *out = len ? malloc(cluster_size(g->img)) : NULL;
	struct qc_inflight_token token;
	size_t n = 0;
	qc_err r;

	if (out && qc_compress_cluster(g->img, g->buf, len, out, &n))
		n = 0;
	token = qc_inflight_begin(&l->inflight);
	r = store_either(g, len, out, n);
	if (r && !l->writer->aborted)
		qc_layer_report_write_error(l, g->start, g->passed, r);
	qc_writer_range_changed(l->writer, g->start, g->passed);
	qc_inflight_end(&l->inflight, token);
	return r;
}

/* ---- gathering ------------------------------------------------------------ */

struct part {
	struct qc_gather *g;
	uint64_t off, len;
	const uint8_t *buf;
};

/* Adds the part to a cluster that it continues.  Needs the lock of the list. */
static void copy_part(const struct part *p)
{
	struct qc_gather *g = p->g;
	uint64_t at = p->off - g->start;

	memcpy(g->buf + at, p->buf, p->len);
	if (g->nparts && g->part[g->nparts - 1].end == at)
		g->part[g->nparts - 1].end = at + p->len;
	else
		g->part[g->nparts++] = (struct qc_gather_part){ at, at + p->len };
	g->filled += p->len;
	g->passed = at + p->len;
}

/* Finds out if the cluster at @start may be gathered.  *zeros: the disk reads as zeros there. */
static qc_err look_at_cluster(const struct part *p, uint64_t start, bool *zeros)
{
	struct qc_image *img = p->g->img;
	uint64_t len = min_u64(cluster_size(img), qc_size(img) - start);
	struct qc_map_extent x;
	struct qc_extent e;
	qc_err r = qc_map_lookup(img->layer[0], (struct goff){ start }, len, &x);

	*zeros = false;
	if (r || x.kind == QC_DATA || x.kind == QC_DAMAGED)
		return r ? r : QC_MUST_WRITE_PLAIN;
	if (x.kind != QC_COMPRESSED && x.len >= len) {
		r = qc_block_status_inflight(img, start, &e);
		*zeros = !r && !e.data && e.len >= len;
	}
	return r || *zeros || p->off == start ? r : QC_MUST_WRITE_PLAIN;
}

/* Begins to fill the cluster at @start.  Needs the lock of the list. */
static qc_err begin_cluster(const struct part *p, uint64_t start, bool zeros)
{
	struct qc_gather_list *list = &p->g->img->ctx->gathers;
	struct qc_gather *g = p->g;

	if (list->blocks)
		return QC_MUST_WRITE_PLAIN;
	if (g->state != QC_GATHER_EMPTY || qc_gather_is_elsewhere(g, start))
		return QC_RETRY_GATHER;
	g->buf = calloc(1, cluster_size(g->img));
	if (!g->buf)
		return QC_MUST_WRITE_PLAIN;
	g->start = start;
	g->passed = g->filled = g->nparts = 0;
	g->gaps_are_zeros = zeros;
	g->serial = ++list->serial;
	g->state = QC_GATHER_FILLING;
	atomic_fetch_add(&list->filled, 1);
	copy_part(p);
	return 0;
}

/* Adds the part to the gathered cluster.  Return: 0; QC_MUST_WRITE_PLAIN; QC_RETRY_GATHER; else as
 * qc_read(). */
static qc_err append_part(const struct part *p)
{
	struct qc_image *img = p->g->img;
	pthread_mutex_t *lock = &img->ctx->gathers.lock;
	uint64_t start = p->off - p->off % cluster_size(img);
	bool continues, zeros;
	qc_err r = 0;

	pthread_mutex_lock(lock);
	continues = qc_gather_continues(p->g, p->off);
	if (continues)
		copy_part(p);
	pthread_mutex_unlock(lock);
	if (!continues)
		r = look_at_cluster(p, start, &zeros);
	if (continues || r)
		return r;
	pthread_mutex_lock(lock);
	r = begin_cluster(p, start, zeros);
	pthread_mutex_unlock(lock);
	return r;
}

static qc_err submit_part(const struct part *p)
{
	struct qc_image *img = p->g->img;
	struct qc_layer *l = img->layer[0];
	struct qc_inflight_token token = qc_inflight_begin(&l->inflight);
	qc_err r = -EINVAL;

	if (range_inside(p->off, p->len, qc_size(img)))
		r = append_part(p);
	if (r == QC_MUST_WRITE_PLAIN)
		r = qc_write_inflight(img, p->off, p->buf, p->len);
	if (r < 0 && !l->writer->aborted)
		qc_layer_report_write_error(l, p->off, p->len, r);
	if (r <= 0) {
		qc_writer_range_changed(l->writer, p->off, p->len);
		qc_io_stats_count_write(&l->io_stats, token, p->len);
	}
	qc_inflight_end(&l->inflight, token);
	return r;
}

qc_err qc_write_gathered(struct qc_image *img, uint64_t off, const void *buf, size_t len)
{
	struct part p = { .off = off, .len = len, .buf = buf };
	uint64_t end = off + len;
	qc_err told, r;

	if (!img->writable)
		return -EROFS;
	p.g = qc_gather_of(img, store_gathered);
	if (!p.g)
		return -ENOMEM;
	do {
		qc_gather_store_for_part(p.g, off); /* the owner of a failed store is told */
		r = qc_gather_take_error(p.g);
		if (!r)
			r = submit_part(&p);
	} while (r == QC_RETRY_GATHER);
	if (!r && end % cluster_size(img) == 0)
		qc_gather_store_for_part(p.g, end);
	told = qc_gather_take_error(p.g);
	return qc_no_outcome(r ? r : told);
}
