/* SPDX-License-Identifier: MIT */
/*
 * table_cache.h - slices of the mapping tables of one image file, in bounded memory.
 *
 * A slice is a few kilobytes of an L1 or L2 table.  Who finds one takes no
 * lock and writes to no memory that others read: it reads the entries, and
 * then asks whether they were all of that slice (qc_slice_view_valid).  Only who
 * misses takes the lock of a few slots, and not while it reads the file.
 */
#ifndef QC_TABLE_CACHE_H
#define QC_TABLE_CACHE_H

#include "base/byteorder.h"
#include "io/file.h"

enum { QC_SLICE_MAX = 4096 };

struct qc_cache;

/* Memory that all caches of a program share out. */
struct qc_budget {
	_Atomic uint64_t used, limit; /* bytes */
	_Atomic uint64_t loads;	      /* slices read, for the counters */
};

/* `cluster`: the file need not fill its last one.  `most`: the slices that the
 * image can have, so that small images get small caches. */
qc_err qc_cache_new(struct qc_file *f, uint32_t slice_bytes, uint64_t cluster, uint64_t most,
		    struct qc_budget *budget, struct qc_cache **out);
void qc_cache_free(struct qc_cache *c);

/* Slices read so far, and the memory that they take now. */
void qc_cache_counters(struct qc_cache *c, uint64_t *loads, uint64_t *bytes);

struct qc_slice_view {
	const struct be64 *words;
	const atomic_uint *seq;
	unsigned int seen;
};

/* The slice of the file at offset `key`, which is not 0.  The bytes of a table
 * may end before the slice does, and the file, too: -EIO only if it ends
 * before the cluster begins in which the slice does.  A thread looks through one view at a time. */
qc_err qc_cache_view(struct qc_cache *c, uint64_t key, struct qc_slice_view *out);

/* ---- changing slices ------------------------------------------------------ */

/* Changes words of the slice at `key`; readers see all of it, or nothing.  The
 * slice stays in memory until it was written back.  QC_RETRY_CHECKPOINT if
 * all slots for it hold dirty slices: write them back, and retry. */
typedef void qc_cache_modify_fn(void *arg, struct be64 *words);
qc_err qc_cache_modify(struct qc_cache *c, uint64_t key, qc_cache_modify_fn *fn, void *arg);

/* Copies of the slices that were changed, for one to write them back without a
 * lock.  One thread at a time: collect, write, settle. */
struct qc_dirty_slice {
	uint64_t key;
	uint8_t *bytes; /* a slice */
};
struct qc_dirty_slices {
	struct qc_dirty_slice *slice;
	size_t n, room;
};
qc_err qc_cache_writeback_begin(struct qc_cache *c, struct qc_dirty_slices *out);
/* They were written, or not: then they count as changed again.  Frees them. */
void qc_cache_writeback_end(struct qc_cache *c, struct qc_dirty_slices *changes, bool written);
bool qc_cache_is_dirty(struct qc_cache *c);

/* Forgets slices of [key, key + len), changed or not: they are no table any
 * more. */
void qc_cache_invalidate(struct qc_cache *c, uint64_t key, uint64_t len);

/* --------------------------------------------------------------------------- */

/* Whether all words that were read through the view were those of its slice.
 * If not, look again. */
static inline bool qc_slice_view_valid(const struct qc_slice_view *v)
{
	return atomic_load_explicit(v->seq, memory_order_relaxed) == v->seen;
}

#endif
