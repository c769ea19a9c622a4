/* SPDX-License-Identifier: MIT */
/*
 * table_slots.h - the slots of a table cache and their states; private to the cache.
 *
 * The cache is set-associative, like that of a processor: the offset of a slice selects a
 * set of WAYS slots.  Each slot has a sequence number:
 *
 *	state    seq   offset     dirty, writing  the words are changed by
 *	EMPTY    even  0          no              no thread
 *	LOADING  odd   the slice  no              the loader, after it has read the file
 *	READY    even  the slice  any             qc_cache_modify(), with an odd seq meanwhile
 *
 *	EMPTY -> LOADING	under the lock of the set
 *	READY -> LOADING	the same; the old slice is evicted, and was not dirty or writing
 *	LOADING -> READY	by the loader, under the lock again; wakes the waiters
 *	LOADING -> EMPTY	the same, if the read failed
 *	READY -> EMPTY		qc_cache_invalidate(), under the lock
 *
 * A reader notes an even seq, reads words, and compares seq: any change in between makes the
 * two differ.  Words are loaded with acquire and stored with release, so neither passes
 * its seq.
 *
 * A slice is `dirty` if memory is newer than the file, and `writing` while a copy of it is on
 * its way there.  Such a slice is not evicted, so no old version is read from the file.
 */
#ifndef QC_TABLE_SLOTS_H
#define QC_TABLE_SLOTS_H

#include "base/byteorder.h"
#include "base/lock.h"
#include "base/util.h"

struct qc_budget;
struct qc_file;
struct qc_slice_view;

enum { WAYS = 8, LOCKS = 16 };

struct cache_slot {
	atomic_uint seq;
	atomic_bool recently_used; /* since the clock hand of the set passed by */
	bool dirty, writing;	   /* the lock of the set */
	struct be64 *words;	   /* set before the first offset, and constant */
};

struct cache_set {
	_Atomic uint64_t offset[WAYS]; /* of the slice in each slot; 0: none */
	struct cache_slot slot[WAYS];
	unsigned int hand; /* its lock; the clock hand of the eviction */
};

/* Memory for the words of several slots, which stay in use until the cache is freed. */
struct cache_slab {
	struct cache_slab *next;
	struct be64 words[];
};

struct qc_cache {
	struct qc_file *file;
	struct qc_budget *budget;
	uint32_t slice_bytes;
	uint64_t cluster;
	unsigned int shift; /* of the hash, to the index of a set */
	struct cache_set *sets;
	uint64_t nsets;
	_Atomic uint64_t dirty; /* slots */
	_Atomic uint64_t loads, slots; /* loads so far; slots with memory */
	pthread_mutex_t slab_lock;     /* a leaf, for the next two */
	struct cache_slab *slabs;      /* the newest first */
	unsigned int slab_left;	       /* slots that the newest slab has memory for */
	struct qc_mutex lock[LOCKS];	/* set i has lock i % LOCKS */
	pthread_cond_t changed[LOCKS];	/* a slot is not LOADING or not writing any more */
};

/* Returns the index of the set for a slice.  Fibonacci hashing spreads neighbours over all
 * sets. */
static inline uint64_t qc_cache_set_index(const struct qc_cache *c, uint64_t offset)
{
	uint64_t h = offset / 512 * UINT64_C(0x9e3779b97f4a7c15);

	return c->shift == 64 ? 0 : h >> c->shift;
}

/* Returns the slot that has the slice, READY or LOADING; NULL if there is none. */
static inline struct cache_slot *qc_cache_slot_of(struct cache_set *s, uint64_t offset)
{
	for (int w = 0; w < WAYS; w++)
		if (s->offset[w] == offset)
			return &s->slot[w];
	return NULL;
}

/* Finds the slice in its set, or loads it into a slot.  The caller holds lock @l, which is
 * dropped while the file is read.  @beyond: bytes that the set may take in excess of the
 * budget for its first slot.
 * Return: 0; QC_RETRY_CHECKPOINT all slots of the set are dirty; -ENOMEM the set has no
 *         slot; as qc_file_read(). */
qc_err qc_cache_find_or_load(struct qc_cache *c, struct cache_set *s, uint64_t offset, size_t l,
			     uint64_t beyond, struct qc_slice_view *out) NEEDS(&c->lock[l]);

/* Asserts the table at the head of this file, for all slots of a set, whose lock the caller
 * holds. */
#ifdef QC_AUDIT
void qc_cache_audit(struct qc_cache *c, struct cache_set *s);
#else
static inline void qc_cache_audit(struct qc_cache *c, struct cache_set *s)
{
	(void)c, (void)s;
}
#endif

#endif
