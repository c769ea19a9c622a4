/* SPDX-License-Identifier: MIT */
/*
 * cluster_cache.c - a fixed number of slots; the least recently used is replaced.
 *
 *  state    owner   users  its bytes
 *  EMPTY    NULL    >=0    mean nothing; users are threads that saw the filling fail
 *  FILLING  any     >0     are written by one user; the other users wait.  NULL: the slot
 *                          was invalidated, and becomes EMPTY
 *  READY    set     >=0    do not change
 *
 * The state of all slots changes under the lock.  Users write and copy the bytes without
 * it: a slot with users is not replaced.  If all slots have users, a reader decompresses
 * into another buffer.
 */
#include "compress/cluster_cache.h"

#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/lock.h"
#include "base/outcome.h"

enum { SLOTS = 16 };
#define BYTES_MAX (8 * MIB)

struct slot {
	const void *owner;
	uint64_t offset;
	uint64_t last_use; /* value of `clock` */
	unsigned int users;
	bool filling;
	uint32_t room; /* allocated bytes */
	uint8_t *bytes;
};

struct qc_cluster_cache {
	struct qc_mutex lock; /* for all below, and all of a slot but its bytes */
	pthread_cond_t filled;
	uint64_t clock; /* uses so far */
	uint64_t total; /* allocated bytes of all slots */
	struct slot slot[SLOTS];
};

/* ---- the table above, asserted ---------------------------------------------- */

static void audit_cluster_cache(const struct qc_cluster_cache *c) NEEDS(&c->lock);
static void audit_cluster_cache(const struct qc_cluster_cache *c)
{
#ifdef QC_AUDIT
	uint64_t total = 0;

	for (int i = 0; i < SLOTS; i++) {
		const struct slot *s = &c->slot[i];

		assert(!s->filling || s->users); /* FILLING */
		assert(!s->owner || s->bytes);	 /* FILLING, READY */
		assert(!s->users || s->bytes);	 /* users keep the bytes */
		assert(!s->room == !s->bytes && s->last_use <= c->clock);
		total += s->room;
		for (int k = 0; s->owner && k < i; k++)
			assert(c->slot[k].owner != s->owner || c->slot[k].offset != s->offset);
	}
	assert(total == c->total && total <= BYTES_MAX);
#else
	(void)c;
#endif
}

/* ---- slots ------------------------------------------------------------------ */

qc_err qc_cluster_cache_new(struct qc_cluster_cache **out)
{
	struct qc_cluster_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	qc_mutex_init(&c->lock, QC_RANK_CLUSTER_CACHE);
	pthread_cond_init(&c->filled, NULL);
	*out = c;
	return 0;
}

void qc_cluster_cache_free(struct qc_cluster_cache *c)
{
	if (!c)
		return;
	for (int i = 0; i < SLOTS; i++)
		free(c->slot[i].bytes);
	pthread_cond_destroy(&c->filled);
	qc_mutex_destroy(&c->lock);
	free(c);
}

static struct slot *find_cluster(struct qc_cluster_cache *c, const void *owner, uint64_t offset)
	NEEDS(&c->lock);
static struct slot *find_cluster(struct qc_cluster_cache *c, const void *owner, uint64_t offset)
{
	for (int i = 0; i < SLOTS; i++)
		if (c->slot[i].owner == owner && c->slot[i].offset == offset)
			return &c->slot[i];
	return NULL;
}

/* Returns the slot without users that was used longest ago, or NULL. */
static struct slot *oldest_idle_slot(struct qc_cluster_cache *c, bool with_memory)
	NEEDS(&c->lock);
static struct slot *oldest_idle_slot(struct qc_cluster_cache *c, bool with_memory)
{
	struct slot *s = NULL;

	for (int i = 0; i < SLOTS; i++)
		if (!c->slot[i].users && (!with_memory || c->slot[i].room) &&
		    (!s || c->slot[i].last_use < s->last_use))
			s = &c->slot[i];
	return s;
}

/* Returns an EMPTY slot with memory for a cluster.  NULL if all slots have users, or
 * memory is short. */
static struct slot *recycle_slot(struct qc_cluster_cache *c, uint32_t cluster) NEEDS(&c->lock);
static struct slot *recycle_slot(struct qc_cluster_cache *c, uint32_t cluster)
{
	struct slot *s;

	do {
		s = oldest_idle_slot(c, c->total + cluster > BYTES_MAX);
		if (!s)
			return NULL;
		s->owner = NULL;
		if (s->room == cluster)
			return s;
		free(s->bytes);
		s->bytes = NULL;
		c->total -= s->room;
		s->room = 0;
	} while (c->total + cluster > BYTES_MAX);
	s->bytes = malloc(cluster);
	if (!s->bytes)
		return NULL;
	s->room = cluster;
	c->total += cluster;
	return s;
}

/* Makes the caller a user of the cluster's slot.  *is_new: the slot was not there, is
 * FILLING now, and the caller must fill it. */
static struct slot *acquire_slot(struct qc_cluster_cache *c, const void *owner, uint64_t offset,
				 uint32_t cluster, bool *is_new) NEEDS(&c->lock);
static struct slot *acquire_slot(struct qc_cluster_cache *c, const void *owner, uint64_t offset,
				 uint32_t cluster, bool *is_new)
{
	struct slot *s = find_cluster(c, owner, offset);

	*is_new = !s;
	if (!s) {
		s = recycle_slot(c, cluster);
		if (!s)
			return NULL;
		s->owner = owner;
		s->offset = offset;
		s->filling = true;
	}
	s->users++;
	s->last_use = ++c->clock;
	audit_cluster_cache(c);
	return s;
}

static void release_slot(struct qc_cluster_cache *c, struct slot *s)
{
	qc_lock(&c->lock);
	s->users--;
	audit_cluster_cache(c);
	qc_unlock(&c->lock);
}

/* Decompresses into a slot that acquire_slot() has just made. */
static qc_err fill_slot(struct qc_cluster_cache *c, struct slot *s, qc_decompress_fn *fn,
			void *arg) NEEDS(&c->lock);
static qc_err fill_slot(struct qc_cluster_cache *c, struct slot *s, qc_decompress_fn *fn,
			void *arg)
{
	qc_err r;

	qc_unlock(&c->lock);
	r = FAIL_POINT("cluster-cache.fill") ? -EIO : fn(arg, s->bytes);
	qc_lock(&c->lock);
	s->filling = false;
	if (r)
		s->owner = NULL;
	pthread_cond_broadcast(&c->filled);
	audit_cluster_cache(c);
	return r;
}

/* Waits until another thread has filled the slot: 0, or QC_FILL_FAILED. */
static qc_err await_slot(struct qc_cluster_cache *c, struct slot *s) NEEDS(&c->lock);
static qc_err await_slot(struct qc_cluster_cache *c, struct slot *s)
{
	while (s->filling)
		qc_wait(&c->filled, &c->lock);
	return s->owner ? 0 : QC_FILL_FAILED;
}

/* ---- reading ---------------------------------------------------------------- */

static qc_err decompress_uncached(uint32_t cluster, uint32_t skip, void *buf, size_t len,
				  qc_decompress_fn *fn, void *arg)
{
	AUTO_FREE uint8_t *bytes = malloc(cluster);
	qc_err r = bytes ? fn(arg, bytes) : -ENOMEM;

	if (!r)
		memcpy(buf, bytes + skip, len);
	return r;
}

qc_err qc_cluster_cache_read(struct qc_cluster_cache *c, const void *owner, uint64_t offset,
			     uint32_t cluster, uint32_t skip, void *buf, size_t len,
			     qc_decompress_fn *fn, void *arg)
{
	struct slot *s;
	bool is_new;
	qc_err r;

	qc_lock(&c->lock);
	s = acquire_slot(c, owner, offset, cluster, &is_new);
	if (!s) {
		qc_unlock(&c->lock);
		return decompress_uncached(cluster, skip, buf, len, fn, arg);
	}
	r = is_new ? fill_slot(c, s, fn, arg) : await_slot(c, s);
	qc_unlock(&c->lock);
	if (!r)
		memcpy(buf, s->bytes + skip, len);
	release_slot(c, s);
	/* Find out the reason: the failure of the other thread may have been transient. */
	return r == QC_FILL_FAILED ? decompress_uncached(cluster, skip, buf, len, fn, arg) : r;
}

bool qc_cluster_cache_copy(struct qc_cluster_cache *c, const void *owner, uint64_t offset,
			   void *buf, uint32_t cluster)
{
	struct slot *s;

	qc_lock(&c->lock);
	s = find_cluster(c, owner, offset);
	if (!s || s->filling) {
		qc_unlock(&c->lock);
		return false;
	}
	s->users++;
	qc_unlock(&c->lock);
	memcpy(buf, s->bytes, cluster);
	release_slot(c, s);
	return true;
}

void qc_cluster_cache_invalidate(struct qc_cluster_cache *c, const void *owner)
{
	qc_lock(&c->lock);
	for (int i = 0; i < SLOTS; i++)
		if (c->slot[i].owner == owner)
			c->slot[i].owner = NULL;
	audit_cluster_cache(c);
	qc_unlock(&c->lock);
}
