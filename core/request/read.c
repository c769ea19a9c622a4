/* SPDX-License-Identifier: MIT */
/*
 * read.c - a request for bytes: walk down the chain, and act on what is found.
 *
 *	qc_read -> qc_walk_step -> qc_map_lookup -> the file
 *
 * Nothing is locked while data is read.  A run of data is one call to the
 * file, however many clusters it has.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "layer/guest_data.h"
#include "image/image.h"
#include "base/outcome.h"
#include "base/range.h"
#include "request/request.h"

enum { EXTENT_STEPS = 1 << 14 };

/* Bytes behind the end of a file are zeros inside its last cluster, which it
 * need not fill; a whole cluster there is one that the file has lost. */
static qc_err check_short(struct qc_layer *l, const struct qc_map_extent *x, struct goff at)
{
	struct goff last = { at.v + x->len - 1 };
	uint64_t inside = l->format == QC_FORMAT_RAW ? 0 :
						       geom_in_cluster(&l->head.geom, last);
	struct qc_file_stat now;
	qc_err r = qc_file_stat(l->data, &now);

	if (!r && x->host.v + x->len - 1 - inside < now.size)
		return 0;
	return qc_layer_report_damage(l, "guest offset 0x%" PRIx64 " is beyond the end of the file",
				r || x->host.v >= now.size ? at.v : at.v + (now.size - x->host.v));
}

static qc_err read_data(struct qc_layer *l, const struct qc_map_extent *x, struct goff at,
			uint8_t *buf)
{
	size_t got;
	qc_err r = qc_guest_data_read(l, at, x->host, buf, x->len, &got);

	if (r == -ENOMEM)
		return r;
	if (r)
		return qc_layer_report_damage(l, "guest offset 0x%" PRIx64 ": cannot read: %s", at.v,
					strerror(-r));
	return got < x->len ? check_short(l, x, at) : 0;
}

/* ---- compressed clusters -------------------------------------------------- */

struct packed {
	struct qc_layer *layer;
	const struct qc_map_extent *x;
	struct goff at;
};

static qc_err decode(struct qc_decoder *d, const struct packed *p, void *out)
{
	struct qc_layer *l = p->layer;
	size_t got;
	qc_err r = qc_file_read(l->file, p->x->host.v, d->in, p->x->compressed_len, &got);

	if (!r && got)
		r = qc_decode(d, l->head.compression, p->x->compressed_len, out,
			      geom_cluster(&l->head.geom));
	if (r == -ENOMEM)
		return r;
	if (r || !got)
		return qc_layer_report_damage(l, "guest offset 0x%" PRIx64 ": the compressed cluster at "
					"0x%" PRIx64 " cannot be unpacked", p->at.v, p->x->host.v);
	atomic_fetch_add_explicit(&l->ctx->clusters_decompressed, 1, memory_order_relaxed);
	return 0;
}

static qc_err unpack(void *arg, void *out)
{
	const struct packed *p = arg;
	struct qc_decoder_pool *pool = p->layer->ctx->decoders;
	struct qc_decoder *d = qc_decoder_get(pool, p->x->compressed_len);
	qc_err r = d ? decode(d, p, out) : -ENOMEM;

	if (d)
		qc_decoder_put(pool, d);
	return r;
}

static qc_err read_packed(struct qc_layer *l, const struct qc_map_extent *x, struct goff at,
			  uint8_t *buf)
{
	uint32_t cluster = (uint32_t)geom_cluster(&l->head.geom);
	struct packed p = { l, x, at };
	struct qc_cluster_cache *u = l->ctx->cluster_cache;

	if (x->len == cluster)
		return qc_cluster_cache_copy(u, l, x->host.v, buf, cluster) ? 0 : unpack(&p, buf);
	return qc_cluster_cache_read(u, l, x->host.v, cluster,
			      (uint32_t)geom_in_cluster(&l->head.geom, at), buf, x->len, unpack,
			      &p);
}

/* --------------------------------------------------------------------------- */

static qc_err act(const struct qc_step *s, uint8_t *buf)
{
	switch (s->x.kind) {
	case QC_DATA:
		return read_data(s->layer, &s->x, s->at, buf);
	case QC_COMPRESSED:
		return read_packed(s->layer, &s->x, s->at, buf);
	case QC_ZERO:
	case QC_UNALLOCATED:
		memset(buf, 0, s->x.len);
		return 0;
	}
	return -EIO;
}

qc_err qc_read_inflight(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len)
{
	struct qc_walk w;

	qc_walk_begin(&w, img, off, off + len);
	while (w.at < off + len) {
		uint8_t *to = buf + (w.at - off);
		struct qc_step s;
		qc_err r = qc_walk_step(&w, &s);

		if (!r)
			r = act(&s, to);
		if (r)
			return r;
	}
	return 0;
}

qc_err qc_read(struct qc_image *img, uint64_t off, void *buf, size_t len)
{
	struct qc_inflight_token pass;
	qc_err r;

	if (img->headers_only || !range_inside(off, len, qc_size(img)))
		return -EINVAL;
	pass = qc_inflight_begin(&img->layer[0]->inflight);
	r = qc_read_inflight(img, off, buf, len);
	qc_io_stats_count_read(&img->layer[0]->io_stats, pass, len);
	qc_inflight_end(&img->layer[0]->inflight, pass);
	return qc_no_outcome(r);
}

/* ---- extents -------------------------------------------------------------- */

/* Is it data, and for how long?  A raw file may have holes of its own. */
static qc_err step_extent(const struct qc_step *s, struct qc_extent *e)
{
	qc_err r;

	*e = (struct qc_extent){ s->x.len, s->x.kind == QC_DATA || s->x.kind == QC_COMPRESSED };
	if (s->layer->format != QC_FORMAT_RAW || s->x.kind != QC_DATA)
		return 0;
	r = qc_file_extent(s->layer->file, s->at.v, e);
	e->len = min_u64(e->len, s->x.len);
	return r;
}

static qc_err extent_inside(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	unsigned int steps = 0;
	struct qc_walk w;
	qc_err r = 0;

	*out = (struct qc_extent){ 0, false };
	qc_walk_begin(&w, img, off, qc_size(img));
	while (off + out->len < qc_size(img) && steps++ < EXTENT_STEPS) {
		uint64_t at = w.at;
		struct qc_extent e;
		struct qc_step s;

		r = qc_walk_step(&w, &s);
		if (!r)
			r = step_extent(&s, &e);
		if (r || (out->len && e.data != out->data))
			break;
		out->data = e.data;
		out->len += e.len;
		w.at = at + e.len;
	}
	return out->len ? 0 : r;
}

qc_err qc_block_status(struct qc_image *img, uint64_t off, struct qc_extent *out)
{
	struct qc_inflight_token pass;
	qc_err r;

	if (img->headers_only || off >= qc_size(img))
		return -EINVAL;
	pass = qc_inflight_begin(&img->layer[0]->inflight);
	r = extent_inside(img, off, out);
	qc_inflight_end(&img->layer[0]->inflight, pass);
	return qc_no_outcome(r);
}
