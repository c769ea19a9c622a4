/* SPDX-License-Identifier: MIT */
/*
 * compressed_write.c - store whole clusters compressed.
 *
 *	qc_write_compressed_inflight -> qc_encode -> qc_cow_write_compressed
 *
 * Data is compressed before the range lock is taken, so that several threads can compress at
 * once.  A host cluster holds the data of several guest clusters, and has a reference for each of
 * them.  So compressed data is never written again in place.  Each write gets new bytes, and
 * frees the old ones.
 *
 * A cluster is stored plain if it has plain data already, or if compression does not save a
 * sector.  Compressed clusters cannot be encrypted, nor be in an external data file (qcow2
 * spec, "Compressed Clusters Descriptor").
 */
#include <errno.h>
#include <string.h>

#include "base/outcome.h"
#include "base/range.h"
#include "layer/context_fields.h"
#include "request/cow_write.h"
#include "request/request.h"

bool qc_image_can_compress(const struct qc_image *img)
{
	const struct qc_layer *l = img->layer[0];

	return l->head.version && !l->head.crypt && !l->head.geom.external &&
	       qc_can_encode(l->head.compression);
}

qc_err qc_compress_cluster(struct qc_image *img, const uint8_t *buf, uint64_t len, uint8_t *out,
			   size_t *n)
{
	const struct qc_header *h = &img->layer[0]->head;
	uint64_t cluster = geom_cluster(&h->geom);
	AUTO_FREE uint8_t *padded = len < cluster ? calloc(1, cluster) : NULL;

	*n = 0;
	if (len < cluster && !padded)
		return -ENOMEM;
	if (padded)
		memcpy(padded, buf, len);
	return qc_encode(img->ctx->encoders, h->compression, padded ? padded : buf, cluster, out,
			 qc_encode_room(cluster), n);
}

qc_err qc_store_compressed_inflight(struct qc_image *img, uint64_t off, uint64_t len,
				    const uint8_t *compressed, size_t n, bool if_empty)
{
	struct qc_layer *l = img->layer[0];
	qc_err r = qc_writer_prepare(l->writer);
	uint64_t done = 0;

	while (!r && !done) {
		struct qc_map_extent x;

		r = qc_map_lookup_writable(l, (struct goff){ off }, len, &x);
		if (!r && (x.kind == QC_DATA || x.kind == QC_DAMAGED))
			r = QC_MUST_WRITE_PLAIN; /* which reports the damage */
		if (!r)
			r = qc_cow_write_compressed(img, off, len, compressed, n, if_empty, &done);
	}
	return r;
}

qc_err qc_store_cluster_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf,
				 uint64_t len, const uint8_t *compressed, size_t n)
{
	qc_err r = QC_MUST_WRITE_PLAIN;

	if (n)
		r = qc_store_compressed_inflight(img, off, len, compressed, n, false);
	return r == QC_MUST_WRITE_PLAIN ? qc_write_inflight(img, off, buf, len) : r;
}

/* Compresses and stores one cluster, unless it has plain data. */
static qc_err write_cluster(struct qc_image *img, uint64_t off, const uint8_t *buf, uint64_t len)
{
	struct qc_layer *l = img->layer[0];
	AUTO_FREE uint8_t *out = NULL;
	struct qc_map_extent x;
	size_t n;
	qc_err r = qc_map_lookup(l, (struct goff){ off }, len, &x);

	if (r || x.kind == QC_DATA)
		return r ? r : qc_write_inflight(img, off, buf, len);
	out = malloc(geom_cluster(&l->head.geom));
	r = out ? qc_compress_cluster(img, buf, len, out, &n) : -ENOMEM;
	return r ? r : qc_store_cluster_inflight(img, off, buf, len, out, n);
}

qc_err qc_write_compressed_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf,
				    uint64_t len)
{
	uint64_t cluster = geom_cluster(&img->layer[0]->head.geom), size = qc_size(img);
	qc_err r = 0;

	if (!qc_image_can_compress(img))
		return qc_write_inflight(img, off, buf, len);
	while (!r && len) {
		uint64_t n = min_u64(len, cluster - off % cluster);
		bool whole = n == cluster || (!(off % cluster) && off + n == size);

		r = whole ? write_cluster(img, off, buf, n) : qc_write_inflight(img, off, buf, n);
		off += n;
		buf += n;
		len -= n;
	}
	return r;
}
