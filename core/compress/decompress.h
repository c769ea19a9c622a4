/* SPDX-License-Identifier: MIT */
/*
 * decompress.h - decompresses clusters: raw deflate and zstd.
 *
 * Decoders are expensive to make and cheap to keep, so idle ones stay in a pool.  Any
 * number of threads may decode at once, each with a decoder of the pool.
 */
#ifndef QC_DECOMPRESS_H
#define QC_DECOMPRESS_H

#include "base/util.h"
#include "compress/idle_pool.h"
#include "format/qcow_layout.h"

struct qc_decoder_pool;

/* Return: 0; -ENOMEM */
qc_err qc_decoder_pool_new(struct qc_decoder_pool **out);
void qc_decoder_pool_free(struct qc_decoder_pool *pool); /* all decoders are idle */

/* A decoder of one thread at a time, with an input buffer. */
struct qc_decoder {
	struct qc_idle idle;
	uint8_t *in;
	size_t in_room; /* bytes of `in` */
	void *deflate, *zstd; /* of the libraries; made when first needed */
};

/* Returns a decoder with an input buffer of at least @len bytes, or NULL without memory. */
struct qc_decoder *qc_decoder_get(struct qc_decoder_pool *pool, size_t len);

/* Returns the decoder to its pool. */
void qc_decoder_put(struct qc_decoder_pool *pool, struct qc_decoder *d);

/*
 * qc_decode() - decompress a cluster
 * @n:        bytes of d->in; bytes behind the end of the compressed data are ignored,
 *	      as an L2 entry gives its length in sectors only
 * @out_len:  bytes of the cluster
 *
 * Return: 0; -EIO the input does not decompress to at least @out_len bytes; -ENOMEM;
 *	-ENOTSUP built without this library
 */
qc_err qc_decode(struct qc_decoder *d, enum qc_compression type, size_t n, void *out,
		 size_t out_len);

/*
 * qc_decode_whole() - decompress a cluster whose compressed length is not known
 * @n:     bytes of d->in, which begin with the compressed data
 * @used:  out: bytes of the compressed data
 *
 * Only for data that ends by itself, and makes exactly @out_len bytes.
 * Return: as qc_decode()
 */
qc_err qc_decode_whole(struct qc_decoder *d, enum qc_compression type, size_t n, void *out,
		       size_t out_len, size_t *used);

#endif
