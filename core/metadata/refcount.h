/* SPDX-License-Identifier: MIT */
/*
 * refcount.h - how many references each cluster of the image file has.
 *
 * The refcount table lists refcount blocks, and a block holds the refcounts of one area of
 * the file, 1 to 64 bits each (qcow2 spec, "Host cluster management").  The table is in
 * memory, blocks are in a table cache.  Refcounts in memory may be ahead of the file; the
 * checkpoint decides when they are written.
 *
 * Called by the allocator, which guards all of this with its lock; by an atomic update and a
 * repair, which hold that lock; and by a check, which owns the refcounts.
 *
 * All functions return 0, or an errno of the file or -ENOMEM.  Other results are named.
 */
#ifndef QC_REFCOUNT_H
#define QC_REFCOUNT_H

#include "base/log.h"
#include "format/header.h"
#include "metadata/table_cache.h"

/* Told about -EIO before a function returns it: "@object at @off: @problem". */
typedef void qc_refcount_report_fn(void *arg, const char *object, uint64_t off,
				   const char *problem);

struct qc_refcounts {
	struct qc_file *file;
	struct qc_cache *blocks;
	unsigned int cluster_bits, order; /* a refcount has 1 << order bits */
	uint32_t slice_bytes;
	/* Offset in bytes and entries of the refcount table, which moves when it grows.
	 * Readable without the lock. */
	_Atomic uint64_t table_offset, entries;
	uint64_t *table;	       /* block offsets; 0: no block, all refcounts are 0 */
	bool is_damaged; /* an entry of the table was invalid, or the header has no table */
	bool table_dirty;	       /* entries [dirty_first, dirty_end) are not in the file */
	uint64_t dirty_first, dirty_end;
	atomic_bool *aborted;	       /* set when a sync fails; may be NULL */
	qc_refcount_report_fn *report_damage; /* may be NULL */
	void *report_arg;
};

/* Reads the refcount table that @h locates.  Return: also -EINVAL, an entry is invalid. */
qc_err qc_refcounts_open(struct qc_refcounts *r, struct qc_file *f, const struct qc_header *h,
			 struct qc_budget *budget, struct qc_reason *why);
void qc_refcounts_close(struct qc_refcounts *r);

/* The same for a check or a repair: an entry that is invalid counts as 0, and is passed to
 * @invalid.  The header may have no table. */
typedef void qc_reftable_invalid_fn(void *arg, uint64_t index, uint64_t entry);
qc_err qc_refcounts_open_damaged(struct qc_refcounts *r, struct qc_file *f,
				 const struct qc_header *h, struct qc_budget *budget,
				 qc_reftable_invalid_fn *invalid, void *arg, struct qc_reason *why);

/* Reads the refcount of a cluster; 0 if no block covers it. */
qc_err qc_refcounts_get(struct qc_refcounts *r, uint64_t cluster, uint64_t *count);

/* Adds @by, which is 1 or -1, to the refcount of a cluster that a block covers.
 * Return: also -EOVERFLOW, the refcount has its largest value;
 *         QC_REFCOUNT_UNDERFLOW, it is 0;
 *         -EIO, no block covers the cluster. */
qc_err qc_refcounts_add(struct qc_refcounts *r, uint64_t cluster, int by);

/* Sets the refcount of a cluster that a block covers.  For a repair.
 * Return: also -EOVERFLOW, @count needs more bits; -EIO, no block covers the cluster. */
qc_err qc_refcounts_set(struct qc_refcounts *r, uint64_t cluster, uint64_t count);

/* Makes cluster number @block the refcount block for the area of @cluster, with all refcounts
 * 0.  For a repair.  Return: also -EFBIG, the table is too short for the area. */
qc_err qc_refcounts_add_block(struct qc_refcounts *r, uint64_t cluster, uint64_t block);

/* Returns log2 of the number of clusters that one block covers. */
static inline unsigned int qc_refcounts_block_bits(const struct qc_refcounts *r)
{
	return r->cluster_bits + 3 - r->order;
}

/* Returns true if a block covers the cluster. */
static inline bool qc_refcounts_has_block(const struct qc_refcounts *r, uint64_t cluster)
{
	uint64_t i = cluster >> qc_refcounts_block_bits(r);

	return i < r->entries && r->table[i];
}

/*
 * qc_refcounts_ensure_block() - make sure that a block covers a cluster whose refcount is 0
 * @taken:  out: clusters from @cluster on that the block or a larger table occupies now
 *
 * Return: also -EFBIG, the table can grow no further;
 *         -EIO, the file is longer than the refcount table can cover.
 */
qc_err qc_refcounts_ensure_block(struct qc_refcounts *r, uint64_t cluster, uint64_t *taken);

/* ---- writing -------------------------------------------------------------- */

/* Writes dirty blocks to the file.  Does not sync. */
qc_err qc_refcounts_write_blocks(struct qc_refcounts *r);

/* A copy of the dirty entries of the refcount table. */
struct qc_reftable_update {
	uint64_t *entry; /* NULL: none */
	uint64_t first, n, table_offset;
};

/* Copies the dirty entries, which are clean from then on.  Call it after the blocks were
 * written: an entry may be written only after a sync of its block. */
qc_err qc_refcounts_take_table_entries(struct qc_refcounts *r, struct qc_reftable_update *out);

/* Writes the entries to the file if @write.  Otherwise, or on failure, they are dirty again.
 * Frees the copy.  Does not sync. */
qc_err qc_refcounts_write_table_entries(struct qc_refcounts *r,
					struct qc_reftable_update *update, bool write);

/* ---- refcounts in words ----------------------------------------------------- */

/* Reads or writes refcount number @i of an array of words. @value < 2^(1 << order). */
uint64_t qc_refcount_word_get(const struct be64 *words, unsigned int order, uint64_t i);
void qc_refcount_word_set(struct be64 *words, unsigned int order, uint64_t i, uint64_t value);

static inline uint64_t qc_refcount_max(unsigned int order)
{
	return order == 6 ? UINT64_MAX : (UINT64_C(1) << (1u << order)) - 1;
}

#endif
