/* SPDX-License-Identifier: MIT */
/*
 * compress.h - compresses clusters: raw deflate and zstd.
 *
 * Encoders are expensive to make and cheap to keep, so idle ones stay in a pool.  Any number
 * of threads may encode at once, each with an encoder of the pool.
 */
#ifndef QC_COMPRESS_H
#define QC_COMPRESS_H

#include "base/util.h"
#include "format/qcow_layout.h"

struct qc_encoder_pool;

/* @level: as qc_config.compress_level.  Return: 0; -ENOMEM */
qc_err qc_encoder_pool_new(int level, struct qc_encoder_pool **out);
void qc_encoder_pool_free(struct qc_encoder_pool *pool); /* all encoders are idle */

/* Returns true if this build can compress by the method. */
bool qc_can_encode(enum qc_compression type);

/* Returns the most bytes that a compressed cluster of @cluster bytes may have.  A longer one
 * is not worth it: less than a sector is saved, or half of a cluster of one sector. */
static inline size_t qc_encode_room(uint64_t cluster)
{
	return (size_t)(cluster - (cluster > 512 ? 512 : cluster / 2));
}

/*
 * qc_encode() - compress a cluster
 * @in:   all @len bytes of the cluster
 * @out:  room for @room bytes
 * @n:    out: bytes of the compressed data; 0 if @room is too small for them
 *
 * Return: 0; -ENOMEM; -ENOTSUP built without this library
 */
qc_err qc_encode(struct qc_encoder_pool *pool, enum qc_compression type, const void *in,
		 size_t len, void *out, size_t room, size_t *n);

#endif
