/* SPDX-License-Identifier: MIT */
/*
 * cluster_cache.h - the few compressed clusters that were decompressed last.
 *
 * A reader whose requests are smaller than a cluster needs each cluster several times, and
 * several readers may need one at once.  The first reader decompresses it, the others wait
 * for the result.  Requests for whole clusters do not fill the cache: their reader has all
 * the bytes.  All images of a context share one cache.
 */
#ifndef QC_CLUSTER_CACHE_H
#define QC_CLUSTER_CACHE_H

#include "base/util.h"

struct qc_cluster_cache;

/* Return: 0; -ENOMEM */
qc_err qc_cluster_cache_new(struct qc_cluster_cache **out);

/* No reader may use the cache any more.  NULL is allowed. */
void qc_cluster_cache_free(struct qc_cluster_cache *c);

/* Decompresses a cluster: writes all of its bytes to @out.  Called without a lock. */
typedef qc_err qc_decompress_fn(void *arg, void *out);

/*
 * qc_cluster_cache_read() - read part of a compressed cluster
 * @owner, @offset:  identify the cluster: its layer, and its host offset
 * @cluster:         bytes of the cluster
 * @skip, @len:      the part that is copied to @buf
 * @fn, @arg:        decompress the cluster if it is not in the cache
 *
 * Return: 0; -ENOMEM; else the failure of @fn
 */
qc_err qc_cluster_cache_read(struct qc_cluster_cache *c, const void *owner, uint64_t offset,
			     uint32_t cluster, uint32_t skip, void *buf, size_t len,
			     qc_decompress_fn *fn, void *arg);

/* Copies a whole cluster to @buf if it is in the cache.  Returns false if it is not, or is
 * still being decompressed. */
bool qc_cluster_cache_copy(struct qc_cluster_cache *c, const void *owner, uint64_t offset,
			   void *buf, uint32_t cluster);

/* Forgets all clusters of a layer.  Readers may use them: the slot is used again once they have
 * copied their bytes.  The reader that is decompressing one gets its bytes; readers that wait
 * for it decompress the cluster again. */
void qc_cluster_cache_invalidate(struct qc_cluster_cache *c, const void *owner);

#endif
