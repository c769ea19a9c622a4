/* SPDX-License-Identifier: MIT */
/*
 * decompress.h - one compressed cluster -> its bytes: raw deflate, zstd.
 *
 * Decoders are costly to make and cheap to keep, so idle ones wait in a pool;
 * any number of threads may decode at once.
 */
#ifndef QC_DECOMPRESS_H
#define QC_DECOMPRESS_H

#include "base/util.h"
#include "format/qcow_layout.h"

struct qc_decoder_pool; /* the pool */

qc_err qc_decoder_pool_new(struct qc_decoder_pool **out);
void qc_decoder_pool_free(struct qc_decoder_pool *pool);

/* A decoder with an input buffer of at least `len` bytes, for one thread at a
 * time. */
struct qc_decoder {
	struct qc_decoder *next; /* in the pool */
	uint8_t *in;
	size_t in_room;
	void *deflate, *zstd; /* made when first needed */
};

struct qc_decoder *qc_decoder_get(struct qc_decoder_pool *pool, size_t len); /* NULL: ENOMEM */
void qc_decoder_put(struct qc_decoder_pool *pool, struct qc_decoder *d);

/* Decodes the first n bytes of d->in to exactly out_len bytes.  What follows
 * the compressed data is ignored: its real length is not known.  -EIO if they
 * are not the compressed form of (at least) that many bytes. */
qc_err qc_decode(struct qc_decoder *d, enum qc_compression type, size_t n, void *out,
		 size_t out_len);

#endif
