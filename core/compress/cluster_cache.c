/* SPDX-License-Identifier: MIT */
/*
 * cluster_cache.c - a fixed number of slots, least recently used first out.
 *
 *  state    owner   users  the bytes are
 *  EMPTY    NULL    0      nothing
 *  FILLING  set     >0     being written by one user; the others wait
 *  READY    set     >=0    not changed any more
 *
 * Slots are found, taken and given back under the lock; bytes are made and
 * copied without it, by users.  When all slots have users, a reader unpacks
 * for itself.
 */
#include "compress/cluster_cache.h"

#include <errno.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/lock.h"

enum { SLOTS = 16 };
#define BYTES_MAX (8 * MIB)

struct slot {
	const void *owner;
	uint64_t key;
	uint64_t used; /* when; higher is later */
	unsigned int users;
	bool filling;
	uint32_t room; /* bytes of `bytes` */
	uint8_t *bytes;
};

struct qc_cluster_cache {
	struct qc_mutex lock; /* for all below, and all of a slot but its bytes */
	pthread_cond_t filled;
	uint64_t clock;
	uint64_t total; /* bytes of all slots */
	struct slot slot[SLOTS];
};

qc_err qc_cluster_cache_new(struct qc_cluster_cache **out)
{
	struct qc_cluster_cache *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	qc_mutex_init(&u->lock, QC_RANK_CLUSTER_CACHE);
	pthread_cond_init(&u->filled, NULL);
	*out = u;
	return 0;
}

void qc_cluster_cache_free(struct qc_cluster_cache *u)
{
	if (!u)
		return;
	for (int i = 0; i < SLOTS; i++)
		free(u->slot[i].bytes);
	pthread_cond_destroy(&u->filled);
	qc_mutex_destroy(&u->lock);
	free(u);
}

static struct slot *find(struct qc_cluster_cache *u, const void *owner, uint64_t key)
	NEEDS(&u->lock);
static struct slot *find(struct qc_cluster_cache *u, const void *owner, uint64_t key)
{
	for (int i = 0; i < SLOTS; i++)
		if (u->slot[i].owner == owner && u->slot[i].key == key)
			return &u->slot[i];
	return NULL;
}

static struct slot *oldest_idle(struct qc_cluster_cache *u, bool with_memory) NEEDS(&u->lock);
static struct slot *oldest_idle(struct qc_cluster_cache *u, bool with_memory)
{
	struct slot *s = NULL;

	for (int i = 0; i < SLOTS; i++)
		if (!u->slot[i].users && (!with_memory || u->slot[i].room) &&
		    (!s || u->slot[i].used < s->used))
			s = &u->slot[i];
	return s;
}

/* The slot that was used longest ago, with memory for one cluster; NULL where
 * none is idle, or memory is short. */
static struct slot *recycle(struct qc_cluster_cache *u, uint32_t cluster) NEEDS(&u->lock);
static struct slot *recycle(struct qc_cluster_cache *u, uint32_t cluster)
{
	struct slot *s;

	do {
		s = oldest_idle(u, u->total + cluster > BYTES_MAX);
		if (!s)
			return NULL;
		s->owner = NULL;
		if (s->room == cluster)
			return s;
		free(s->bytes);
		s->bytes = NULL;
		u->total -= s->room;
		s->room = 0;
	} while (u->total + cluster > BYTES_MAX);
	s->bytes = malloc(cluster);
	if (!s->bytes)
		return NULL;
	s->room = cluster;
	u->total += cluster;
	return s;
}

static struct slot *take(struct qc_cluster_cache *u, const void *owner, uint64_t key,
			 uint32_t cluster) NEEDS(&u->lock);
static struct slot *take(struct qc_cluster_cache *u, const void *owner, uint64_t key,
			 uint32_t cluster)
{
	struct slot *s = find(u, owner, key);

	if (!s) {
		s = recycle(u, cluster);
		if (!s)
			return NULL;
		s->owner = owner;
		s->key = key;
		s->filling = true;
	}
	s->users++;
	s->used = ++u->clock;
	return s;
}

/* Fills the slot that take() has just made, or waits for who does. */
static qc_err fill(struct qc_cluster_cache *u, struct slot *s, bool mine, qc_decompress_fn *fn,
		   void *arg) NEEDS(&u->lock);
static qc_err fill(struct qc_cluster_cache *u, struct slot *s, bool mine, qc_decompress_fn *fn,
		   void *arg)
{
	qc_err r;

	if (!mine) {
		while (s->filling)
			qc_wait(&u->filled, &u->lock);
		return s->owner ? 0 : -EAGAIN;
	}
	qc_unlock(&u->lock);
	r = FAIL_POINT("unpack.fill") ? -EIO : fn(arg, s->bytes);
	qc_lock(&u->lock);
	s->filling = false;
	if (r)
		s->owner = NULL;
	pthread_cond_broadcast(&u->filled);
	return r;
}

static qc_err unpack_alone(uint32_t cluster, uint32_t skip, void *buf, size_t len,
			   qc_decompress_fn *fn, void *arg)
{
	AUTO_FREE uint8_t *bytes = malloc(cluster);
	qc_err r = bytes ? fn(arg, bytes) : -ENOMEM;

	if (!r)
		memcpy(buf, bytes + skip, len);
	return r;
}

qc_err qc_cluster_cache_read(struct qc_cluster_cache *u, const void *owner, uint64_t key, uint32_t cluster,
		      uint32_t skip, void *buf, size_t len, qc_decompress_fn *fn, void *arg)
{
	struct slot *s;
	bool mine;
	qc_err r;

	qc_lock(&u->lock);
	mine = !find(u, owner, key);
	s = take(u, owner, key, cluster);
	if (!s) {
		qc_unlock(&u->lock);
		return unpack_alone(cluster, skip, buf, len, fn, arg);
	}
	r = fill(u, s, mine, fn, arg);
	qc_unlock(&u->lock);
	if (!r)
		memcpy(buf, s->bytes + skip, len);
	qc_lock(&u->lock);
	s->users--;
	qc_unlock(&u->lock);
	/* Whoever filled it failed; find out why for ourselves. */
	return r == -EAGAIN ? unpack_alone(cluster, skip, buf, len, fn, arg) : r;
}

bool qc_cluster_cache_copy(struct qc_cluster_cache *u, const void *owner, uint64_t key, void *buf,
		    uint32_t cluster)
{
	struct slot *s;

	qc_lock(&u->lock);
	s = find(u, owner, key);
	if (!s || s->filling) {
		qc_unlock(&u->lock);
		return false;
	}
	s->users++;
	qc_unlock(&u->lock);
	memcpy(buf, s->bytes, cluster);
	qc_lock(&u->lock);
	s->users--;
	qc_unlock(&u->lock);
	return true;
}

void qc_cluster_cache_invalidate(struct qc_cluster_cache *u, const void *owner)
{
	qc_lock(&u->lock);
	for (int i = 0; i < SLOTS; i++)
		if (u->slot[i].owner == owner)
			u->slot[i].owner = NULL;
	qc_unlock(&u->lock);
}
