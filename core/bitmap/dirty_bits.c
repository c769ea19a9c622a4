/* SPDX-License-Identifier: MIT */
#include "bitmap/dirty_bits.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/range.h"

enum { WORD_BITS = 64 };

struct qc_dirty_page {
	_Atomic uint64_t word[QC_DIRTY_PAGE_MAX / 8]; /* memory only for page_bytes */
};

/* In all slots whose bits are all set.  Its words are never used. */
static struct qc_dirty_page all_set;

static uint64_t page_bits(const struct qc_dirty_bits *d)
{
	return UINT64_C(8) * d->page_bytes;
}

qc_err qc_dirty_bits_init(struct qc_dirty_bits *d, uint64_t bits, uint32_t page_bytes,
			  _Atomic uint64_t *memory)
{
	*d = (struct qc_dirty_bits){ .page_bytes = page_bytes, .memory = memory };
	return qc_dirty_bits_resize(d, bits);
}

/* ---- pages ---------------------------------------------------------------- */

static void free_page(struct qc_dirty_bits *d, struct qc_dirty_page *page)
{
	if (!page || page == &all_set)
		return;
	free(page);
	atomic_fetch_sub(d->memory, d->page_bytes);
}

/* Pins the page of a slot: it is not freed before unpin_page(). */
static struct qc_dirty_page *pin_page(struct qc_dirty_slot *s)
{
	atomic_fetch_add(&s->pins, 1);
	return s->page;
}

static void unpin_page(struct qc_dirty_slot *s)
{
	atomic_fetch_sub(&s->pins, 1);
}

/* Puts @new into the slot, and returns the old page when no thread uses it any more. */
static struct qc_dirty_page *replace_page(struct qc_dirty_slot *s, struct qc_dirty_page *new)
{
	struct qc_dirty_page *old = atomic_exchange(&s->page, new);

	/* A thread that pins the slot from here on sees the new page. */
	while (s->pins)
		sched_yield();
	return old;
}

/* Gives the pinned slot a page, unless another thread did, and returns it. */
static struct qc_dirty_page *add_page(struct qc_dirty_bits *d, struct qc_dirty_slot *s, bool all)
{
	struct qc_dirty_page *page, *there = NULL;

	page = all || FAIL_POINT("dirty-bits.page") ? NULL : calloc(1, d->page_bytes);
	if (page)
		atomic_fetch_add(d->memory, d->page_bytes);
	else
		page = &all_set;
	if (atomic_compare_exchange_strong(&s->page, &there, page))
		return page;
	free_page(d, page);
	return there;
}

void qc_dirty_bits_free(struct qc_dirty_bits *d)
{
	for (uint64_t i = 0; i < d->slots; i++)
		free_page(d, d->slot[i].page);
	free(d->slot);
	*d = (struct qc_dirty_bits){ 0 };
}

/* ---- bits ----------------------------------------------------------------- */

/* Returns a word with the bits from first % 64 on, up to bit @end - first / 64 * 64. */
static uint64_t word_mask(uint64_t first, uint64_t end)
{
	uint64_t mask = ~UINT64_C(0) << first % WORD_BITS;

	if (first / WORD_BITS == end / WORD_BITS)
		mask &= (UINT64_C(1) << end % WORD_BITS) - 1;
	return mask;
}

static void set_word_bits(_Atomic uint64_t *word, uint64_t mask)
{
	/* To read first keeps the cache line shared where all bits are set already. */
	if ((atomic_load_explicit(word, memory_order_relaxed) & mask) != mask)
		atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
}

/* Sets the bits [first, end) of one page. */
static void set_page_bits(struct qc_dirty_bits *d, uint64_t slot, uint64_t first, uint64_t end)
{
	struct qc_dirty_slot *s = &d->slot[slot];
	struct qc_dirty_page *page = pin_page(s);

	if (!page)
		page = add_page(d, s, !first && end == page_bits(d));
	while (page != &all_set && first < end) {
		set_word_bits(&page->word[first / WORD_BITS], word_mask(first, end));
		first = first / WORD_BITS * WORD_BITS + WORD_BITS;
	}
	unpin_page(s);
}

void qc_dirty_bits_set(struct qc_dirty_bits *d, uint64_t first, uint64_t end)
{
	end = min_u64(end, d->bits);
	while (first < end) {
		uint64_t slot = first / page_bits(d), begin = slot * page_bits(d);
		uint64_t stop = min_u64(end, begin + page_bits(d));

		set_page_bits(d, slot, first - begin, stop - begin);
		first = stop;
	}
}

static void join_page(const struct qc_dirty_bits *d, const struct qc_dirty_page *page, uint8_t *to)
{
	if (page == &all_set)
		memset(to, 0xff, d->page_bytes);
	for (size_t i = 0; page && page != &all_set && i < d->page_bytes; i++)
		to[i] |= (uint8_t)(atomic_load_explicit(&page->word[i / 8], memory_order_relaxed) >>
				   i % 8 * 8);
}

void qc_dirty_bits_copy(struct qc_dirty_bits *d, uint64_t slot, uint8_t *to)
{
	if (!qc_dirty_bits_has(d, slot))
		return;
	join_page(d, pin_page(&d->slot[slot]), to);
	unpin_page(&d->slot[slot]);
}

void qc_dirty_bits_take(struct qc_dirty_bits *d, uint64_t slot, uint8_t *to)
{
	struct qc_dirty_page *page;

	if (!qc_dirty_bits_has(d, slot))
		return;
	page = replace_page(&d->slot[slot], NULL);
	join_page(d, page, to);
	free_page(d, page);
}

void qc_dirty_bits_put(struct qc_dirty_bits *d, uint64_t slot, const uint8_t *from)
{
	uint64_t first = slot * page_bits(d);

	for (uint64_t i = 0; i < page_bits(d); i++)
		if (from[i / 8] >> i % 8 & 1)
			qc_dirty_bits_set(d, first + i, first + i + 1);
}

void qc_dirty_bits_coarsen(struct qc_dirty_bits *d, uint64_t slot)
{
	if (qc_dirty_bits_has(d, slot))
		free_page(d, replace_page(&d->slot[slot], &all_set));
}

/* ---- the size --------------------------------------------------------------- */

/* Clears the bits of the last page behind the end, which must read as 0 if the disk grows. */
static void clear_last_page(struct qc_dirty_bits *d, uint64_t bits)
{
	uint64_t slot = bits / page_bits(d), first = bits % page_bits(d);
	struct qc_dirty_page *page = slot < d->slots && first ? d->slot[slot].page : NULL;

	if (page == &all_set) { /* all bits before the end are set, one by one */
		d->slot[slot].page = NULL;
		set_page_bits(d, slot, 0, first);
		return;
	}
	for (; page && first < page_bits(d); first = first / WORD_BITS * WORD_BITS + WORD_BITS)
		atomic_fetch_and(&page->word[first / WORD_BITS], ~word_mask(first, page_bits(d)));
}

qc_err qc_dirty_bits_resize(struct qc_dirty_bits *d, uint64_t bits)
{
	uint64_t slots = div_up(bits, page_bits(d));
	struct qc_dirty_slot *slot = calloc(slots + 1, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	if (bits != d->bits)
		clear_last_page(d, min_u64(bits, d->bits));
	for (uint64_t i = 0; i < d->slots; i++) {
		if (i < slots)
			slot[i].page = d->slot[i].page;
		else
			free_page(d, d->slot[i].page);
	}
	free(d->slot);
	d->slot = slot;
	d->slots = slots;
	d->bits = bits;
	return 0;
}
