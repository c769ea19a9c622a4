/* SPDX-License-Identifier: MIT */
/*
 * dirty_bits.h - the bits that a writer sets in one dirty bitmap, in pages of memory.
 *
 * A write sets bits here, and nothing else: the bits that were there before stay in the file.
 * So nothing is loaded before the first write.  bitmap/bitmap_bits.c joins both.
 *
 * Any number of requests set bits at the same time, without a lock: by an atomic or.  A page
 * that is taken away to be stored is unlinked first.  The thread that does so then waits until
 * no request has the page pinned, which takes no longer than setting a few words.
 */
#ifndef QC_DIRTY_BITS_H
#define QC_DIRTY_BITS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/util.h"

enum { QC_DIRTY_PAGE_MAX = 4096 }; /* bytes */

struct qc_dirty_page;

struct qc_dirty_slot {
	struct qc_dirty_page *_Atomic page; /* NULL: no bit is set */
	atomic_uint pins; /* threads that use the page */
};

struct qc_dirty_bits {
	struct qc_dirty_slot *slot;
	uint64_t slots, bits;
	uint32_t page_bytes;
	_Atomic uint64_t *memory; /* bytes of the pages of all bitmaps */
};

/* Makes @bits bits, all 0.  @page_bytes: a power of two from 512 to QC_DIRTY_PAGE_MAX.
 * Return: 0; -ENOMEM. */
qc_err qc_dirty_bits_init(struct qc_dirty_bits *d, uint64_t bits, uint32_t page_bytes,
			  _Atomic uint64_t *memory);
void qc_dirty_bits_free(struct qc_dirty_bits *d);

/* Changes the number of bits; new ones are 0.  No other thread uses them meanwhile.
 * Return: 0; -ENOMEM, and nothing has changed. */
qc_err qc_dirty_bits_resize(struct qc_dirty_bits *d, uint64_t bits);

/* Sets the bits [first, end).  Without memory for a page all bits of the page are set: to copy
 * too much is safe, too little is not.  Any thread. */
void qc_dirty_bits_set(struct qc_dirty_bits *d, uint64_t first, uint64_t end);

/* Returns true if a bit of the page may be set. */
static inline bool qc_dirty_bits_has(const struct qc_dirty_bits *d, uint64_t slot)
{
	return slot < d->slots && d->slot[slot].page;
}

/* Sets the bits of a page in @to as well, which has page_bytes bytes in the order of the
 * file. */
void qc_dirty_bits_copy(struct qc_dirty_bits *d, uint64_t slot, uint8_t *to);

/* The same, and clears the page.  One thread at a time. */
void qc_dirty_bits_take(struct qc_dirty_bits *d, uint64_t slot, uint8_t *to);

/* Sets the bits of @from in the page: of a page that was taken and could not be stored. */
void qc_dirty_bits_put(struct qc_dirty_bits *d, uint64_t slot, const uint8_t *from);

/* Sets all bits of a page that has memory, and frees the memory.  One thread at a time. */
void qc_dirty_bits_coarsen(struct qc_dirty_bits *d, uint64_t slot);

#endif
