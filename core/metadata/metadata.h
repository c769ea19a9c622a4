/* SPDX-License-Identifier: MIT */
/*
 * metadata.h - all that is needed to read the metadata of an image file.
 *
 * The walk over metadata, the count of references and the check take this instead of a
 * writer.  So they also work on an image that is read-only, locked, or marked corrupt.
 */
#ifndef QC_METADATA_H
#define QC_METADATA_H

#include "base/lock.h"
#include "metadata/refcount.h"

struct qc_metadata {
	struct qc_file *file;
	const struct qc_header *head;
	struct qc_cache *tables; /* L1 and L2, ahead of the file; NULL: all is in the file */
	struct qc_refcounts *refcounts; /* NULL: version 1 has none */
	struct qc_mutex *refcount_lock; /* NULL: no other thread uses the refcounts */
};

static inline void qc_metadata_lock(const struct qc_metadata *md) UNCHECKED;
static inline void qc_metadata_lock(const struct qc_metadata *md)
{
	if (md->refcount_lock)
		qc_lock(md->refcount_lock);
}

static inline void qc_metadata_unlock(const struct qc_metadata *md) UNCHECKED;
static inline void qc_metadata_unlock(const struct qc_metadata *md)
{
	if (md->refcount_lock)
		qc_unlock(md->refcount_lock);
}

/* Reads the refcount of the cluster at a host offset.  The caller holds refcount_lock. */
static inline qc_err qc_metadata_refcount(const struct qc_metadata *md, uint64_t off,
					  uint64_t *count)
{
	return qc_refcounts_get(md->refcounts, off >> md->head->geom.cluster_bits, count);
}

#endif
