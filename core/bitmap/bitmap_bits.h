/* SPDX-License-Identifier: MIT */
/*
 * bitmap_bits.h - the bits of a bitmap: its table in memory, joined with its dirty bits.
 *
 * Clusters of bits that the file's table references are never written.  Bits that have changed
 * go to a fresh cluster, which belongs to the table in memory only, and is written again for
 * later bits.  So a crash leaves the bitmap of the file as it was when it was opened.
 */
#ifndef QC_BITMAP_BITS_H
#define QC_BITMAP_BITS_H

#include "bitmap/bitmap_set.h"

/*
 * qc_bitmap_bits_extent() - find the dirty run, or the clean one, at a guest offset
 * @off:  before the end of the disk
 * @out:  `data` is true if the run is dirty.  Ends at a border of the granularity, or at the
 *        end of the disk.
 *
 * Context: in flight; takes s->lock.
 * Return: 0; an errno of the file.
 */
qc_err qc_bitmap_bits_extent(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t off,
			     struct qc_extent *out);

/* Counts the dirty bytes of the disk.  Context and return: as qc_bitmap_bits_extent(). */
qc_err qc_bitmap_bits_count(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b, uint64_t *bytes);

/* Writes all dirty bits to clusters of the table.  After a failure they are dirty bits as
 * before.  Return: 0; -ENOMEM; as qc_alloc_clusters(). */
qc_err qc_bitmap_bits_store(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b);

/* Returns true if dirty bits take more memory than allowed. */
static inline bool qc_bitmap_bits_are_many(const struct qc_bitmap_set *s)
{
	return s->memory > s->memory_max;
}

/* Stores dirty bits until half of the memory allowed is free.  Bits that cannot be written, as
 * on a full file system, become coarser: each page has all of its bits set.
 * Context: in flight, or drained; takes s->lock. */
void qc_bitmap_bits_make_room(struct qc_bitmap_set *s);

/* Adapts a bitmap to the size of the disk.  New bits are 0.  Context: drained.
 * Return: 0; -EFBIG so many bits are too many for the format or the memory allowed; as
 *	qc_bitmap_bits_store(). */
qc_err qc_bitmap_bits_resize(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b);

/* Clears all bits.  Context: drained.  Return: 0; -ENOMEM, and nothing has changed. */
qc_err qc_bitmap_bits_clear(struct qc_bitmap_set *s, struct qc_tracked_bitmap *b);

#endif
