/* SPDX-License-Identifier: MIT */
/*
 * read.c - read a range of a disk.
 *
 *	qc_read -> qc_walk_step -> qc_map_lookup -> the image file
 *
 * Each step of the walk finds one run of clusters of one kind, and one switch acts on it.
 * Damaged tables are found by the lookup, and reported here.  No lock is held while data is
 * read.  A run of data is one read of the file, however many clusters it has.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/range.h"
#include "image/chain_walk.h"
#include "image/image.h"
#include "layer/guest_data.h"
#include "request/request.h"

/* ---- data ----------------------------------------------------------------- */

/* Checks a run of data that ends behind the end of its file.  The last cluster of a file
 * may be cut short, and then reads as zeros.  A whole cluster behind the end is lost. */
static qc_err check_short_data(struct qc_layer *l, const struct qc_map_extent *x, struct goff at)
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
		return qc_layer_report_damage(l, "guest offset 0x%" PRIx64 ": cannot read: %s",
					      at.v, strerror(-r));
	return got < x->len ? check_short_data(l, x, at) : 0;
}

/* ---- compressed clusters -------------------------------------------------- */

struct compressed_cluster {
	struct qc_layer *layer;
	const struct qc_map_extent *x;
	struct goff at;
};

/* Reads the compressed bytes of a cluster, and decompresses them into @out. */
static qc_err decode_cluster(struct qc_decoder *d, const struct compressed_cluster *c, void *out)
{
	struct qc_layer *l = c->layer;
	size_t got;
	qc_err r = qc_file_read(l->file, c->x->host.v, d->in, c->x->compressed_len, &got);

	if (!r && got)
		r = qc_decode(d, l->head.compression, c->x->compressed_len, out,
			      geom_cluster(&l->head.geom));
	if (r == -ENOMEM)
		return r;
	if (r || !got)
		return qc_layer_report_damage(l,
					      "guest offset 0x%" PRIx64 ": cannot decompress the "
					      "cluster at 0x%" PRIx64,
					      c->at.v, c->x->host.v);
	atomic_fetch_add_explicit(&l->ctx->clusters_decompressed, 1, memory_order_relaxed);
	return 0;
}

/* Decompresses a cluster into @out, with a decoder of the pool.  @arg: the cluster. */
static qc_err decompress_cluster(void *arg, void *out)
{
	const struct compressed_cluster *c = arg;
	struct qc_decoder_pool *pool = c->layer->ctx->decoders;
	struct qc_decoder *d = qc_decoder_get(pool, c->x->compressed_len);
	qc_err r = d ? decode_cluster(d, c, out) : -ENOMEM;

	if (d)
		qc_decoder_put(pool, d);
	return r;
}

/* Reads from a compressed cluster.  A whole cluster is decompressed into the caller's
 * buffer.  Part of one goes through the cache, since the next read wants its rest. */
static qc_err read_compressed(struct qc_layer *l, const struct qc_map_extent *x, struct goff at,
			      uint8_t *buf)
{
	uint32_t cluster = (uint32_t)geom_cluster(&l->head.geom);
	struct compressed_cluster c = { l, x, at };
	struct qc_cluster_cache *cache = l->ctx->cluster_cache;

	if (x->len < cluster)
		return qc_cluster_cache_read(cache, l, x->host.v, cluster,
					     (uint32_t)geom_in_cluster(&l->head.geom, at), buf,
					     x->len, decompress_cluster, &c);
	if (qc_cluster_cache_copy(cache, l, x->host.v, buf, cluster))
		return 0;
	return decompress_cluster(&c, buf);
}

/* ---- lost bytes ----------------------------------------------------------- */

static const char *damage_text(const struct qc_step *s)
{
	if (s->reason != QC_REASON_NONE)
		return qc_grade_map_text(s->reason);
	switch (s->x.damage) {
	case QC_DAMAGE_NO_L1_ENTRY:
		return qc_grade_map_text(QC_REASON_NO_L1_ENTRY);
	case QC_DAMAGE_L1_ENTRY:
		return qc_grade_map_text(QC_REASON_L1_ENTRY);
	case QC_DAMAGE_L2_ENTRY:
		return qc_grade_map_text(QC_REASON_L2_ENTRY);
	case QC_DAMAGE_L1_UNREADABLE:
	case QC_DAMAGE_L2_UNREADABLE:
		break;
	}
	return qc_grade_map_text(QC_REASON_UNREAD_TABLE);
}

/* Fills a range of lost bytes as the user wants them, if that is not an error.  @off counts on
 * the disk. */
static void fill_lost(const struct qc_image *img, uint64_t off, uint8_t *buf, uint64_t len,
		      const char *reason)
{
	memset(buf, 0, len);
	while (img->ctx->lost == QC_LOST_MARK && len) {
		uint64_t inside = off % SECTOR, n = min_u64(SECTOR - inside, len);
		char sector[SECTOR + 1];
		int used = snprintf(sector, sizeof(sector), "qcowfs: lost 0x%012" PRIx64 " %s",
				    off - inside, reason);

		memset(sector + used, ' ', (size_t)(SECTOR - used));
		sector[SECTOR - 1] = '\n';
		memcpy(buf, sector + inside, n);
		off += n;
		buf += n;
		len -= n;
	}
}

/* Logs a lost extent.  Return: -EIO. */
static qc_err report_lost(const struct qc_step *s)
{
	if (s->reason == QC_REASON_NONE)
		return qc_map_report_damage(s->layer, s->at, &s->x);
	return qc_layer_report_damage(s->layer, "guest offset 0x%" PRIx64 ": %s", s->at.v,
				      qc_grade_map_text(s->reason));
}

/* ---- requests ------------------------------------------------------------- */

qc_err qc_read_step(const struct qc_step *s, uint8_t *buf)
{
	switch (s->x.kind) {
	case QC_DATA:
		return read_data(s->layer, &s->x, s->at, buf);
	case QC_COMPRESSED:
		return read_compressed(s->layer, &s->x, s->at, buf);
	case QC_ZERO:
	case QC_UNALLOCATED:
		memset(buf, 0, s->x.len);
		return 0;
	case QC_DAMAGED:
		return report_lost(s);
	}
	return -EIO;
}

/* Reads an extent of data of which some sectors cannot be read, sector by sector. */
static qc_err read_left_sectors(const struct qc_image *img, const struct qc_step *s, uint64_t off,
				uint8_t *buf)
{
	for (uint64_t at = 0; at < s->x.len;) {
		uint64_t n = min_u64(SECTOR - (off + at) % SECTOR, s->x.len - at);
		struct qc_step part = *s;
		qc_err r;

		part.at.v += at;
		part.x.host.v += at;
		part.x.len = n;
		r = read_data(s->layer, &part.x, part.at, buf + at);
		if (r && r != -EIO)
			return r;
		if (r)
			fill_lost(img, off + at, buf + at, n,
				  qc_grade_map_text(QC_REASON_UNREAD_DATA));
		at += n;
	}
	return 0;
}

/* Reads an extent.  What is lost of it is filled as the user wants it. */
static qc_err read_or_fill(const struct qc_image *img, const struct qc_step *s, uint64_t off,
			   uint8_t *buf)
{
	qc_err r = qc_read_step(s, buf);

	if (r != -EIO || img->ctx->lost == QC_LOST_EIO)
		return r;
	if (s->x.kind == QC_DATA)
		return read_left_sectors(img, s, off, buf);
	fill_lost(img, off, buf, s->x.len, s->x.kind == QC_COMPRESSED ?
		  qc_grade_map_text(QC_REASON_NOT_DECOMPRESSED) : damage_text(s));
	return 0;
}

qc_err qc_read_inflight(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len)
{
	struct qc_walk w;

	qc_walk_begin(&w, img, off, off + len);
	while (w.at < off + len) {
		uint64_t at = w.at;
		struct qc_step s;
		qc_err r = qc_walk_step(&w, &s);

		if (!r)
			r = read_or_fill(img, &s, at, buf + (at - off));
		if (r)
			return r;
	}
	return 0;
}
