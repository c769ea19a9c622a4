/* SPDX-License-Identifier: MIT */
/*
 * table_cache.c - a set-associative cache, as in a processor.
 *
 * A key belongs to one set of WAYS slots.  Each slot has a sequence number:
 *
 *  state    seq   key        who may change the words
 *  EMPTY    even  0          nobody
 *  LOADING  odd   the slice  the loader, after it has read the file
 *  READY    even  the slice  nobody
 *
 *  EMPTY -> LOADING, READY -> LOADING (the old slice is evicted): under the
 *  lock of the set.  LOADING -> READY, LOADING -> EMPTY (the read failed): by
 *  the loader, under the lock again, which then wakes those who wait for it.
 *
 * A reader notes an even seq, reads words, and compares: any change of the
 * slot in between makes the two differ.  Words are loaded with acquire and
 * stored with release, so neither can pass its seq.
 *
 * A slot's memory is taken when the slot is first used, from a budget that all
 * images share.  When that is spent, a set makes do with the slots it has, but
 * may still have one, up to a second limit; beyond that its slices are read
 * anew each time, into memory of the thread.  So a chain of many large images
 * becomes slow, never large.  A slice that is to be changed gets its slot in any
 * case.
 *
 * Whoever changes words does that under the lock of the set, with an odd seq.
 * A READY slot whose words were changed is `dirty`; while a copy of them is on
 * its way to the file it is `writing`.  Neither is evicted, so the file is
 * never read for a slice that is newer in memory.
 */
#include "metadata/table_cache.h"

#include <errno.h>

#include "base/array.h"
#include "base/failpoint.h"
#include "base/lock.h"
#include "base/outcome.h"
#include "base/range.h"

enum { WAYS = 8, LOCKS = 16, BEYOND_LIMIT = 32 << 20 };
#define WITHOUT_LIMIT (UINT64_MAX / 2)

struct slot {
	atomic_uint seq;
	atomic_bool recent;   /* found since the hand last passed by */
	bool dirty, writing;  /* the set's lock */
	struct be64 *words;   /* set once, before the first key */
};

struct set {
	_Atomic uint64_t key[WAYS];
	struct slot slot[WAYS];
	unsigned int hand; /* its lock */
};

struct qc_cache {
	struct qc_file *file;
	struct qc_budget *budget;
	uint32_t slice_bytes;
	uint64_t cluster;
	unsigned int shift; /* of the hash, to the index of a set */
	struct set *sets;
	uint64_t nsets;
	_Atomic uint64_t dirty; /* slots */
	_Atomic uint64_t loads, slots; /* so far; with memory */
	struct qc_mutex lock[LOCKS];	/* set i has lock i % LOCKS */
	pthread_cond_t loaded[LOCKS];
};

static uint64_t set_index(const struct qc_cache *c, uint64_t key)
{
	/* Fibonacci hashing: neighbours spread over all sets. */
	uint64_t h = key / 512 * UINT64_C(0x9e3779b97f4a7c15);

	return c->shift == 64 ? 0 : h >> c->shift;
}

qc_err qc_cache_new(struct qc_file *f, uint32_t slice_bytes, uint64_t cluster, uint64_t most,
		    struct qc_budget *budget, struct qc_cache **out)
{
	uint64_t want = min_u64(most, atomic_load(&budget->limit) / slice_bytes) / WAYS;
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
	for (int i = 0; i < LOCKS; i++) {
		qc_mutex_init(&c->lock[i], QC_RANK_SLOT);
		pthread_cond_init(&c->loaded[i], NULL);
	}
	*out = c;
	return 0;
}

void qc_cache_free(struct qc_cache *c)
{
	if (!c)
		return;
	for (uint64_t i = 0; i < c->nsets; i++) {
		for (int w = 0; w < WAYS; w++) {
			if (!c->sets[i].slot[w].words)
				continue;
			atomic_fetch_sub(&c->budget->used, c->slice_bytes);
			free(c->sets[i].slot[w].words);
		}
	}
	for (int i = 0; i < LOCKS; i++) {
		pthread_cond_destroy(&c->loaded[i]);
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

/* Finds the slice if it is READY; no lock needed. */
static bool find(struct set *s, uint64_t key, struct qc_slice_view *out)
{
	for (int w = 0; w < WAYS; w++) {
		struct slot *slot = &s->slot[w];

		if (atomic_load_explicit(&s->key[w], memory_order_acquire) != key)
			continue;
		out->seen = atomic_load_explicit(&slot->seq, memory_order_acquire);
		/* The key again: the slot may have changed hands in between. */
		if (out->seen & 1 ||
		    atomic_load_explicit(&s->key[w], memory_order_acquire) != key)
			continue;
		out->seq = &slot->seq;
		out->words = slot->words;
		if (!atomic_load_explicit(&slot->recent, memory_order_relaxed))
			atomic_store_explicit(&slot->recent, true, memory_order_relaxed);
		return true;
	}
	return false;
}

static bool is_loading(struct set *s, uint64_t key)
{
	for (int w = 0; w < WAYS; w++)
		if (s->key[w] == key && s->slot[w].seq & 1)
			return true;
	return false;
}

static bool give_memory(struct qc_cache *c, struct slot *slot, uint64_t beyond)
{
	uint64_t bytes = c->slice_bytes;
	uint64_t limit = atomic_load(&c->budget->limit) + beyond;

	if (atomic_fetch_add(&c->budget->used, bytes) + bytes > limit) {
		atomic_fetch_sub(&c->budget->used, bytes);
		return false;
	}
	slot->words = calloc(bytes / 8, sizeof(*slot->words));
	if (!slot->words)
		atomic_fetch_sub(&c->budget->used, bytes);
	else
		atomic_fetch_add_explicit(&c->slots, 1, memory_order_relaxed);
	return slot->words;
}

static bool has_slot(const struct set *s)
{
	for (int w = 0; w < WAYS; w++)
		if (s->slot[w].words)
			return true;
	return false;
}

/* A slot to load into: a new one where the budget allows, else the next that
 * nobody has used of late.  NULL if the set may have none, or if all of its
 * slots are dirty or loading; *wait if one of them will be free by itself. */
static struct slot *choose(struct qc_cache *c, struct set *s, uint64_t beyond, bool *wait)
{
	bool any = false, soon = false;

	*wait = false;
	for (int w = 0; w < WAYS; w++) {
		if (s->slot[w].words) {
			any = true;
			soon = soon || s->slot[w].seq & 1 || s->slot[w].writing;
			continue;
		}
		if (give_memory(c, &s->slot[w], any ? 0 : beyond))
			return &s->slot[w];
		break;
	}
	if (!any)
		return NULL;
	for (int turn = 0; turn < 2 * WAYS; turn++) {
		struct slot *slot = &s->slot[s->hand++ % WAYS];

		if (!slot->words || slot->seq & 1 || slot->dirty || slot->writing)
			continue;
		if (!atomic_exchange(&slot->recent, false) || turn >= WAYS)
			return slot;
	}
	*wait = soon;
	return NULL;
}

/* Tables do not lie beyond the end of the file, but for its last cluster. */
static qc_err check_beyond(struct qc_cache *c, uint64_t key)
{
	struct qc_file_stat now;
	qc_err r = qc_file_stat(c->file, &now);

	if (!r && key >= round_up(now.size, c->cluster))
		r = -EIO;
	return r;
}

static qc_err load(struct qc_cache *c, uint64_t key, struct be64 *words)
{
	uint8_t bytes[QC_SLICE_MAX];
	size_t got;
	qc_err r;

	atomic_fetch_add_explicit(&c->budget->loads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->loads, 1, memory_order_relaxed);
	if (FAIL_POINT("cache.load"))
		return -EIO;
	r = qc_file_read(c->file, key, bytes, c->slice_bytes, &got);
	if (r)
		return r;
	if (!got)
		r = check_beyond(c, key);
	if (r)
		return r;
	for (size_t i = 0; i < c->slice_bytes / 8; i++)
		be64_copy(&words[i], bytes + 8 * i);
	return 0;
}

/* Finds the slice, or loads it into a slot of the set.  Return: 0; QC_RETRY_CHECKPOINT all
 * slots of the set are dirty; -ENOMEM the set has no slot; an errno of the file. */
static qc_err find_or_load(struct qc_cache *c, struct set *s, uint64_t key, size_t l,
			   uint64_t beyond, struct qc_slice_view *out) NEEDS(&c->lock[l])
{
	while (!find(s, key, out)) {
		bool wait = is_loading(s, key);
		struct slot *slot = wait ? NULL : choose(c, s, beyond, &wait);
		qc_err r;

		if (wait) {
			qc_wait(&c->loaded[l], &c->lock[l]);
			continue;
		}
		if (!slot)
			return has_slot(s) ? QC_RETRY_CHECKPOINT : -ENOMEM;
		slot->seq++; /* LOADING */
		s->key[slot - s->slot] = key;
		qc_unlock(&c->lock[l]);
		r = load(c, key, slot->words);
		qc_lock(&c->lock[l]);
		if (r)
			s->key[slot - s->slot] = 0;
		slot->seq++; /* READY, or EMPTY */
		pthread_cond_broadcast(&c->loaded[l]);
		if (r)
			return r;
	}
	return 0;
}

static qc_err view_uncached(struct qc_cache *c, uint64_t key, struct qc_slice_view *out)
{
	static _Thread_local struct be64 words[QC_SLICE_MAX / 8];
	static const atomic_uint never_changes;

	*out = (struct qc_slice_view){ .words = words, .seq = &never_changes };
	return load(c, key, words);
}

qc_err qc_cache_view(struct qc_cache *c, uint64_t key, struct qc_slice_view *out)
{
	uint64_t i = set_index(c, key);
	size_t l = i % LOCKS;
	qc_err r;

	if (find(&c->sets[i], key, out))
		return 0;
	qc_lock(&c->lock[l]);
	r = find_or_load(c, &c->sets[i], key, l, BEYOND_LIMIT, out);
	qc_unlock(&c->lock[l]);
	return r == QC_RETRY_CHECKPOINT || r == -ENOMEM ? view_uncached(c, key, out) : r;
}

/* ---- changing slices ------------------------------------------------------ */

static struct slot *slot_of(struct set *s, uint64_t key)
{
	for (int w = 0; w < WAYS; w++)
		if (s->key[w] == key)
			return &s->slot[w];
	return NULL;
}

static void set_dirty(struct qc_cache *c, struct slot *slot, bool dirty)
{
	if (slot->dirty == dirty)
		return;
	slot->dirty = dirty;
	if (dirty)
		c->dirty++;
	else
		c->dirty--;
}

qc_err qc_cache_modify(struct qc_cache *c, uint64_t key, qc_cache_modify_fn *fn, void *arg)
{
	uint64_t i = set_index(c, key);
	struct set *s = &c->sets[i];
	size_t l = i % LOCKS;
	struct qc_slice_view v;
	qc_err r;

	qc_lock(&c->lock[l]);
	r = find_or_load(c, s, key, l, WITHOUT_LIMIT, &v);
	if (!r) {
		struct slot *slot = slot_of(s, key);

		slot->seq++;
		fn(arg, slot->words);
		slot->seq++;
		set_dirty(c, slot, true);
	}
	qc_unlock(&c->lock[l]);
	return r;
}

bool qc_cache_is_dirty(struct qc_cache *c)
{
	return c->dirty;
}

static qc_err copy_slot(struct qc_cache *c, uint64_t key, struct slot *slot,
			struct qc_dirty_slices *out)
{
	struct qc_dirty_slice *one;

	if (array_reserve(&out->slice, &out->room, out->n + 1, sizeof(*out->slice)))
		return -ENOMEM;
	one = &out->slice[out->n];
	*one = (struct qc_dirty_slice){ key, malloc(c->slice_bytes) };
	if (!one->bytes)
		return -ENOMEM;
	out->n++;
	for (size_t i = 0; i < c->slice_bytes / 8; i++)
		be64_bytes(&slot->words[i], one->bytes + 8 * i);
	set_dirty(c, slot, false);
	slot->writing = true;
	return 0;
}

static int by_key(const void *a, const void *b)
{
	uint64_t x = ((const struct qc_dirty_slice *)a)->key, y = ((const struct qc_dirty_slice *)b)->key;

	return x < y ? -1 : x > y;
}

qc_err qc_cache_writeback_begin(struct qc_cache *c, struct qc_dirty_slices *out)
{
	qc_err r = 0;

	*out = (struct qc_dirty_slices){ 0 };
	for (uint64_t i = 0; !r && i < c->nsets && c->dirty; i++) {
		struct set *s = &c->sets[i];

		qc_lock(&c->lock[i % LOCKS]);
		for (int w = 0; !r && w < WAYS; w++)
			if (s->slot[w].dirty)
				r = copy_slot(c, s->key[w], &s->slot[w], out);
		qc_unlock(&c->lock[i % LOCKS]);
	}
	if (r)
		qc_cache_writeback_end(c, out, false);
	else if (out->n)
		qsort(out->slice, out->n, sizeof(*out->slice), by_key);
	return r;
}

void qc_cache_writeback_end(struct qc_cache *c, struct qc_dirty_slices *changes, bool written)
{
	for (size_t k = 0; k < changes->n; k++) {
		uint64_t i = set_index(c, changes->slice[k].key);
		struct slot *slot;

		qc_lock(&c->lock[i % LOCKS]);
		slot = slot_of(&c->sets[i], changes->slice[k].key);
		if (slot && slot->writing) { /* else it was forgotten */
			slot->writing = false;
			if (!written)
				set_dirty(c, slot, true);
		}
		pthread_cond_broadcast(&c->loaded[i % LOCKS]);
		qc_unlock(&c->lock[i % LOCKS]);
		free(changes->slice[k].bytes);
	}
	free(changes->slice);
	*changes = (struct qc_dirty_slices){ 0 };
}

void qc_cache_invalidate(struct qc_cache *c, uint64_t key, uint64_t len)
{
	for (uint64_t end = key + len; key < end; key += c->slice_bytes) {
		uint64_t i = set_index(c, key);
		struct slot *slot;

		qc_lock(&c->lock[i % LOCKS]);
		/* A load that is on its way would come back with what was. */
		while ((slot = slot_of(&c->sets[i], key)) && slot->seq & 1)
			qc_wait(&c->loaded[i % LOCKS], &c->lock[i % LOCKS]);
		if (slot) {
			slot->seq += 2;
			c->sets[i].key[slot - c->sets[i].slot] = 0;
			set_dirty(c, slot, false);
			slot->writing = false;
		}
		qc_unlock(&c->lock[i % LOCKS]);
	}
}
