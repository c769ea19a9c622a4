/* SPDX-License-Identifier: MIT */
/*
 * table_cache.c - lookups, and the memory of slots.  The states are in table_slots.h.
 *
 * A slot gets memory when it is first used, from a budget that all images share.  Once the
 * budget is spent, a set uses the slots that it has.  A set without a slot may get one, up
 * to BEYOND_LIMIT in excess of the budget; its other slices are read from the file each
 * time.  So a chain of many large images becomes slow, but not large.  A slice that is to be
 * changed gets its slot in any case.
 */
#include "metadata/table_cache.h"

#include <errno.h>

#include "base/failpoint.h"
#include "base/outcome.h"
#include "base/range.h"
#include "metadata/table_slots.h"

enum {
	BEYOND_LIMIT = 32 << 20,
	SLAB_SLOTS_MAX = 16,
};

/* ---- new and free --------------------------------------------------------- */

qc_err qc_cache_new(struct qc_file *f, uint32_t slice_bytes, uint64_t cluster, uint64_t slices_max,
		    struct qc_budget *budget, struct qc_cache **out)
{
	uint64_t want = min_u64(slices_max, atomic_load(&budget->limit) / slice_bytes) / WAYS;
	struct qc_cache *c = calloc(1, sizeof(*c));

	assert(slice_bytes <= QC_SLICE_MAX);
	if (!c)
		return -ENOMEM;
	c->file = f;
	c->budget = budget;
	c->slice_bytes = slice_bytes;
	c->cluster = cluster;
	c->shift = 64;
	for (c->nsets = 1; c->nsets <= want; c->nsets *= 2)
		c->shift--;
	c->sets = calloc(c->nsets, sizeof(*c->sets));
	if (!c->sets) {
		free(c);
		return -ENOMEM;
	}
	pthread_mutex_init(&c->slab_lock, NULL);
	for (int i = 0; i < LOCKS; i++) {
		qc_mutex_init(&c->lock[i], QC_RANK_SLOT);
		pthread_cond_init(&c->changed[i], NULL);
	}
	*out = c;
	return 0;
}

void qc_cache_free(struct qc_cache *c)
{
	if (!c)
		return;
	atomic_fetch_sub(&c->budget->used, c->slots * c->slice_bytes);
	while (c->slabs) {
		struct cache_slab *next = c->slabs->next;

		free(c->slabs);
		c->slabs = next;
	}
	pthread_mutex_destroy(&c->slab_lock);
	for (int i = 0; i < LOCKS; i++) {
		pthread_cond_destroy(&c->changed[i]);
		qc_mutex_destroy(&c->lock[i]);
	}
	free(c->sets);
	free(c);
}

void qc_cache_counters(struct qc_cache *c, uint64_t *loads, uint64_t *bytes)
{
	*loads = atomic_load(&c->loads);
	*bytes = atomic_load(&c->slots) * c->slice_bytes;
}

#ifdef QC_AUDIT
static void audit_slot(struct qc_cache *c, struct cache_set *s, int way)
{
	const struct cache_slot *slot = &s->slot[way];
	uint64_t offset = s->offset[way];
	bool loading = slot->seq & 1;

	assert(!offset || slot->words);
	assert(!(slot->dirty || slot->writing) || (offset && !loading));
	assert(!loading || offset);
	if (!offset)
		return;
	assert(&c->sets[qc_cache_set_index(c, offset)] == s);
	for (int w = 0; w < way; w++)
		assert(s->offset[w] != offset);
}

void qc_cache_audit(struct qc_cache *c, struct cache_set *s)
{
	for (int w = 0; w < WAYS; w++)
		audit_slot(c, s, w);
}
#endif

/* ---- finding a slice ------------------------------------------------------ */

/* Finds the slice if it is READY.  Needs no lock. */
static bool find_ready_slot(struct cache_set *s, uint64_t offset, struct qc_slice_view *out)
{
	for (int w = 0; w < WAYS; w++) {
		struct cache_slot *slot = &s->slot[w];

		if (atomic_load_explicit(&s->offset[w], memory_order_acquire) != offset)
			continue;
		out->seen = atomic_load_explicit(&slot->seq, memory_order_acquire);
		/* The offset again: the slot may have got another slice in between. */
		if (out->seen & 1 ||
		    atomic_load_explicit(&s->offset[w], memory_order_acquire) != offset)
			continue;
		out->seq = &slot->seq;
		out->words = slot->words;
		if (!atomic_load_explicit(&slot->recently_used, memory_order_relaxed))
			atomic_store_explicit(&slot->recently_used, true, memory_order_relaxed);
		return true;
	}
	return false;
}

static bool has_slot(const struct cache_set *s)
{
	for (int w = 0; w < WAYS; w++)
		if (s->slot[w].words)
			return true;
	return false;
}

/* Returns memory for the words of one slot, all zeros.  Allocating slots one by one would cost a
 * system call each.  A slab has room for as many slots as there are, so a small cache stays
 * small. */
static struct be64 *allocate_words(struct qc_cache *c)
{
	size_t per_slot = c->slice_bytes / sizeof(struct be64);
	struct be64 *words = NULL;

	pthread_mutex_lock(&c->slab_lock);
	if (!c->slab_left) {
		uint64_t n = max_u64(1, min_u64(atomic_load(&c->slots), SLAB_SLOTS_MAX));
		struct cache_slab *slab = calloc(1, sizeof(*slab) + n * c->slice_bytes);

		if (slab) {
			slab->next = c->slabs;
			c->slabs = slab;
			c->slab_left = (unsigned int)n;
		}
	}
	if (c->slab_left)
		words = c->slabs->words + --c->slab_left * per_slot;
	pthread_mutex_unlock(&c->slab_lock);
	return words;
}

/* Allocates memory for the slot, if the budget and @beyond allow it. */
static bool allocate_slot(struct qc_cache *c, struct cache_slot *slot, uint64_t beyond)
{
	uint64_t bytes = c->slice_bytes;
	uint64_t limit = atomic_load(&c->budget->limit) + beyond;

	if (atomic_fetch_add(&c->budget->used, bytes) + bytes > limit) {
		atomic_fetch_sub(&c->budget->used, bytes);
		return false;
	}
	slot->words = allocate_words(c);
	if (!slot->words)
		atomic_fetch_sub(&c->budget->used, bytes);
	else
		atomic_fetch_add_explicit(&c->slots, 1, memory_order_relaxed);
	return slot->words;
}

/* Picks a slot to evict by the clock algorithm: the first that was not used since the hand
 * passed by, else any.  Returns NULL if all slots are dirty, writing or LOADING. */
static struct cache_slot *choose_victim(struct cache_set *s)
{
	for (int step = 0; step < 2 * WAYS; step++) {
		struct cache_slot *slot = &s->slot[s->hand++ % WAYS];

		if (!slot->words || slot->seq & 1 || slot->dirty || slot->writing)
			continue;
		if (!atomic_exchange(&slot->recently_used, false) || step >= WAYS)
			return slot;
	}
	return NULL;
}

/* Chooses a slot to load into: a new one if the budget allows it, else a victim.  Returns
 * NULL if there is none.  *wait: a slot is LOADING or writing, and will be free soon. */
static struct cache_slot *choose_slot(struct qc_cache *c, struct cache_set *s, uint64_t beyond,
				      bool *wait)
{
	bool any = false, soon = false;
	struct cache_slot *slot;

	*wait = false;
	for (int w = 0; w < WAYS; w++) {
		slot = &s->slot[w];
		if (slot->words) {
			any = true;
			soon = soon || slot->seq & 1 || slot->writing;
			continue;
		}
		if (allocate_slot(c, slot, any ? 0 : beyond))
			return slot;
		break;
	}
	slot = any ? choose_victim(s) : NULL;
	*wait = soon && !slot;
	return slot;
}

/* ---- loading -------------------------------------------------------------- */

/* Returns -EIO if the slice begins behind the last cluster of the file: no table is there. */
static qc_err check_inside_file(struct qc_cache *c, uint64_t offset)
{
	struct qc_file_stat now;
	qc_err r = qc_file_stat(c->file, &now);

	if (!r && offset >= round_up(now.size, c->cluster))
		r = -EIO;
	return r;
}

static qc_err load_slice(struct qc_cache *c, uint64_t offset, struct be64 *words)
{
	uint8_t bytes[QC_SLICE_MAX];
	size_t got;
	qc_err r;

	atomic_fetch_add_explicit(&c->budget->loads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->loads, 1, memory_order_relaxed);
	if (FAIL_POINT("cache.load"))
		return -EIO;
	r = qc_file_read(c->file, offset, bytes, c->slice_bytes, &got);
	if (r)
		return r;
	if (!got)
		r = check_inside_file(c, offset);
	if (r)
		return r;
	for (size_t i = 0; i < c->slice_bytes / 8; i++)
		be64_copy(&words[i], bytes + 8 * i);
	return 0;
}

/* Loads the slice into the slot, which is EMPTY, or READY with a slice to evict. */
static qc_err load_into_slot(struct qc_cache *c, struct cache_set *s, struct cache_slot *slot,
			     uint64_t offset, size_t l) NEEDS(&c->lock[l])
{
	qc_err r;

	slot->seq++; /* LOADING */
	s->offset[slot - s->slot] = offset;
	qc_cache_audit(c, s);
	qc_unlock(&c->lock[l]);
	r = load_slice(c, offset, slot->words);
	qc_lock(&c->lock[l]);
	if (r)
		s->offset[slot - s->slot] = 0;
	slot->seq++; /* READY, or EMPTY */
	qc_cache_audit(c, s);
	pthread_cond_broadcast(&c->changed[l]);
	return r;
}

qc_err qc_cache_find_or_load(struct qc_cache *c, struct cache_set *s, uint64_t offset, size_t l,
			     uint64_t beyond, struct qc_slice_view *out)
{
	while (!find_ready_slot(s, offset, out)) {
		bool wait = qc_cache_slot_of(s, offset); /* another thread loads the slice */
		struct cache_slot *slot = wait ? NULL : choose_slot(c, s, beyond, &wait);
		qc_err r;

		if (wait) {
			qc_wait(&c->changed[l], &c->lock[l]);
			continue;
		}
		if (!slot)
			return has_slot(s) ? QC_RETRY_CHECKPOINT : -ENOMEM;
		r = load_into_slot(c, s, slot, offset, l);
		if (r)
			return r;
	}
	return 0;
}

static qc_err view_uncached(struct qc_cache *c, uint64_t offset, struct qc_slice_view *out)
{
	static _Thread_local struct be64 words[QC_SLICE_MAX / 8];
	static const atomic_uint never_changes;

	*out = (struct qc_slice_view){ .words = words, .seq = &never_changes };
	return load_slice(c, offset, words);
}

qc_err qc_cache_view(struct qc_cache *c, uint64_t offset, struct qc_slice_view *out)
{
	uint64_t i = qc_cache_set_index(c, offset);
	size_t l = i % LOCKS;
	qc_err r;

	if (find_ready_slot(&c->sets[i], offset, out))
		return 0;
	qc_lock(&c->lock[l]);
	r = qc_cache_find_or_load(c, &c->sets[i], offset, l, BEYOND_LIMIT, out);
	qc_unlock(&c->lock[l]);
	return r == QC_RETRY_CHECKPOINT || r == -ENOMEM ? view_uncached(c, offset, out) : r;
}
