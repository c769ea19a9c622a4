/* SPDX-License-Identifier: MIT */
/*
 * refcount.h - how many tables name a cluster of the image file.
 *
 * A table of blocks of counters of 1 to 64 bits.  The table is in memory, the
 * blocks are in a cache.  Counts in memory may be ahead of those in the file;
 * see writer.h for when which must be there.
 *
 * All but the pure functions need the lock of the allocator.
 */
#ifndef QC_REFCOUNT_H
#define QC_REFCOUNT_H

#include "metadata/table_cache.h"
#include "format/header.h"
#include "base/log.h"

struct qc_refcounts {
	struct qc_file *file;
	struct qc_cache *blocks;
	unsigned int cluster_bits, order; /* 1 << order bits a counter */
	uint32_t slice_bytes;
	/* Of the table; it moves when it grows.  May be read without a lock. */
	_Atomic uint64_t table_offset, entries;
	uint64_t *table;    /* block offsets; 0: none, all counts are 0 */
	bool table_dirty;   /* entries that are not in the file yet */
	atomic_bool *broken; /* set when a barrier fails; NULL */
	uint64_t dirty_first, dirty_end;
};

/* Reads the table.  -EINVAL if an entry is impossible. */
qc_err qc_refcounts_open(struct qc_refcounts *r, struct qc_file *f, const struct qc_header *h,
		    struct qc_budget *budget, struct qc_reason *why);
void qc_refcounts_close(struct qc_refcounts *r);

qc_err qc_refcounts_get(struct qc_refcounts *r, uint64_t cluster, uint64_t *count);

/* Raises or lowers by one.  -EOVERFLOW where the width allows no more;
 * QC_REFCOUNT_UNDERFLOW for less than none.  A cluster whose area has no block yet must not be
 * raised before qc_refcounts_ensure_block(). */
qc_err qc_refcounts_add(struct qc_refcounts *r, uint64_t cluster, int by);

/* For a repair: any count, of a cluster that has a block; and a block at a
 * given place for a given cluster. */
qc_err qc_refcounts_set(struct qc_refcounts *r, uint64_t cluster, uint64_t count);
qc_err qc_refcounts_add_block(struct qc_refcounts *r, uint64_t cluster, uint64_t block);

/* log2 of the clusters that one block counts */
static inline unsigned int qc_refcounts_block_bits(const struct qc_refcounts *r)
{
	return r->cluster_bits + 3 - r->order;
}

/* Whether there is a block for the cluster. */
static inline bool qc_refcounts_has_block(const struct qc_refcounts *r, uint64_t cluster)
{
	uint64_t i = cluster >> qc_refcounts_block_bits(r);

	return i < r->entries && r->table[i];
}

/* Makes sure that a block covers the cluster, which is free.  The block may
 * take that cluster for itself: then *taken is how many clusters from it on
 * are in use now. */
qc_err qc_refcounts_ensure_block(struct qc_refcounts *r, uint64_t cluster, uint64_t *taken);

/* Writes changed blocks to the file, without a barrier. */
qc_err qc_refcounts_write_blocks(struct qc_refcounts *r);

/* Entries of the table that name new blocks: they are taken when those have been
 * written, and written (or not: then they wait for the next time) behind a
 * barrier. */
struct qc_reftable_update {
	uint64_t *entry; /* NULL: none */
	uint64_t first, n, table_offset;
};
qc_err qc_refcounts_take_table_entries(struct qc_refcounts *r, struct qc_reftable_update *out);
qc_err qc_refcounts_write_table_entries(struct qc_refcounts *r, struct qc_reftable_update *e, bool write);

/* The counter i of a row of words; value < 2^(1 << order). */
uint64_t qc_refcount_word_get(const struct be64 *words, unsigned int order, uint64_t i);
void qc_refcount_word_set(struct be64 *words, unsigned int order, uint64_t i, uint64_t value);

static inline uint64_t qc_refcount_max(unsigned int order)
{
	return order == 6 ? UINT64_MAX : (UINT64_C(1) << (1u << order)) - 1;
}

#endif
