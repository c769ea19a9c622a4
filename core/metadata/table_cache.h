/* SPDX-License-Identifier: MIT */
/*
 * table_cache.h - slices of the mapping tables of one image file, in bounded memory.
 *
 * A slice is up to 4 KiB of an L1 table, an L2 table or a refcount block.  Lookups, the
 * allocator and the checkpoint use one cache for each image and kind of table.
 *
 * A reader of a cached slice takes no lock and writes to no shared memory, as in a seqlock
 * read section of the kernel: it reads the words, then asks qc_slice_view_valid() if they
 * all were of that slice.  A lock on each lookup would be the slowest part of a read.
 */
#ifndef QC_TABLE_CACHE_H
#define QC_TABLE_CACHE_H

#include "base/byteorder.h"
#include "io/file.h"

enum { QC_SLICE_MAX = 4096 }; /* bytes */

struct qc_cache;

/* Memory that all caches of a context share. */
struct qc_budget {
	_Atomic uint64_t used, limit; /* bytes */
	_Atomic uint64_t loads;	      /* slices read from files */
};

/*
 * qc_cache_new() - make a cache for tables of one file
 * @f:            stays the caller's
 * @slice_bytes:  a power of two, at most QC_SLICE_MAX
 * @cluster:      bytes; the file may end inside its last cluster
 * @slices_max:   slices that the image can have, so that a small image gets a small cache
 *
 * Return: 0; -ENOMEM.
 */
qc_err qc_cache_new(struct qc_file *f, uint32_t slice_bytes, uint64_t cluster, uint64_t slices_max,
		    struct qc_budget *budget, struct qc_cache **out);
void qc_cache_free(struct qc_cache *c); /* NULL is allowed */

/* Reads how many slices were loaded, and the bytes of memory in use. */
void qc_cache_counters(struct qc_cache *c, uint64_t *loads, uint64_t *bytes);

/* ---- reading -------------------------------------------------------------- */

struct qc_slice_view {
	const struct be64 *words;
	const atomic_uint *seq;
	unsigned int seen; /* value of *seq before the words were read */
};

/*
 * qc_cache_view() - look at the slice at byte @offset of the file, which is not 0
 *
 * Loads the slice if it is not cached.  Bytes behind the end of the file are zeros.  Without
 * memory for a slot the words are in memory of the thread: a thread has one view at a time.
 * Return: 0; -EIO the slice begins behind the last cluster of the file; as qc_file_read().
 */
qc_err qc_cache_view(struct qc_cache *c, uint64_t offset, struct qc_slice_view *out);

/* Returns true if all words that were read through the view were of its slice.  If not, the
 * reader drops all that it concluded from them, and looks again. */
static inline bool qc_slice_view_valid(const struct qc_slice_view *v)
{
	return atomic_load_explicit(v->seq, memory_order_relaxed) == v->seen;
}

/* ---- changing ------------------------------------------------------------- */

/*
 * qc_cache_modify() - change words of the slice at @offset
 * @fn:  called with the words under the lock of the slot; readers see all of its changes or
 *       none
 *
 * The slice is dirty from then on, and stays in memory until a writeback has written it.
 * Return: 0; QC_RETRY_CHECKPOINT all slots for it are dirty; -ENOMEM; as qc_cache_view().
 */
typedef void qc_cache_modify_fn(void *arg, struct be64 *words);
qc_err qc_cache_modify(struct qc_cache *c, uint64_t offset, qc_cache_modify_fn *fn, void *arg);

/* Returns true if a slice is dirty. */
bool qc_cache_is_dirty(struct qc_cache *c);

/* Copies of dirty slices, ordered by offset. */
struct qc_dirty_slice {
	uint64_t offset;
	uint8_t *bytes;
};
struct qc_dirty_slices {
	struct qc_dirty_slice *slice;
	size_t n, capacity;
};

/* Copies all dirty slices, and marks them as clean but being written.  The caller writes the
 * copies to the file, and calls qc_cache_writeback_end().  One thread at a time does that.
 * Return: 0; -ENOMEM. */
qc_err qc_cache_writeback_begin(struct qc_cache *c, struct qc_dirty_slices *out);

/* Ends a writeback, and frees the copies.  If not all were written, all are dirty again. */
void qc_cache_writeback_end(struct qc_cache *c, struct qc_dirty_slices *slices, bool written);

/* Drops the slices in [offset, offset + len), dirty or not: the clusters are no tables any
 * more, or the file has other bytes than the cache. */
void qc_cache_invalidate(struct qc_cache *c, uint64_t offset, uint64_t len);

#endif
