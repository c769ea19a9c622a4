/* SPDX-License-Identifier: MIT */
/*
 * cluster_cache.h - the few compressed clusters that were unpacked last.
 *
 * Someone who reads a compressed image in pieces smaller than a cluster comes
 * by each cluster several times, and several readers may come at once: the
 * first unpacks it, the others wait for that.  Whole clusters are not kept,
 * since their reader has them.  All images share one such cache.
 */
#ifndef QC_CLUSTER_CACHE_H
#define QC_CLUSTER_CACHE_H

#include "base/util.h"

struct qc_cluster_cache;

qc_err qc_cluster_cache_new(struct qc_cluster_cache **out);
void qc_cluster_cache_free(struct qc_cluster_cache *u);

/* Writes the whole cluster to `out`. */
typedef qc_err qc_decompress_fn(void *arg, void *out);

/* Copies `len` bytes from `skip` on out of the cluster of `cluster` bytes that
 * is named by (owner, key); if it is not there, fn makes it. */
qc_err qc_cluster_cache_read(struct qc_cluster_cache *u, const void *owner, uint64_t key, uint32_t cluster,
		      uint32_t skip, void *buf, size_t len, qc_decompress_fn *fn, void *arg);

/* Copies the whole cluster if it is there. */
bool qc_cluster_cache_copy(struct qc_cluster_cache *u, const void *owner, uint64_t key, void *buf,
		    uint32_t cluster);

/* Forgets what belongs to an owner that is about to go. */
void qc_cluster_cache_invalidate(struct qc_cluster_cache *u, const void *owner);

#endif
