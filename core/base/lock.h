/* SPDX-License-Identifier: MIT */
/*
 * lock.h - mutexes with a rank, like the classes of the kernel's lockdep.
 *
 * A thread takes locks in ascending rank, and never two of one rank.  With
 * -Daudit=true the first inversion aborts.  clang checks NEEDS() at compile time.
 * No lock of these is held across I/O of guest data, except in a resize.  Only the ranks
 * marked "I/O" below are held across I/O of metadata.
 */
#ifndef QC_LOCK_H
#define QC_LOCK_H

#include <assert.h>
#include <pthread.h>

#if defined(__clang__)
#define THREAD_ATTR(x) __attribute__((x))
#else
#define THREAD_ATTR(x)
#endif
#define NEEDS(lock) THREAD_ATTR(requires_capability(lock))

/* Exempts a function that returns with other locks than it was called with, or that
 * names a lock by another expression than its caller does. */
#define UNCHECKED THREAD_ATTR(no_thread_safety_analysis)

enum qc_rank {
	QC_RANK_COPY,	       /* copy: the next chunk; I/O of tables */
	QC_RANK_OPEN,	       /* layer: making it writable; I/O.  context: starting the flusher */
	QC_RANK_RESIZE,	       /* writer: one resize at a time; I/O */
	QC_RANK_LAYER_TABLE,   /* context: which layers are open */
	QC_RANK_PENDING_FREE,  /* writer: one thread frees pending clusters; I/O */
	QC_RANK_CHECKPOINT,    /* writer: one checkpoint at a time; I/O */
	QC_RANK_INFLIGHT,      /* requests in flight: one grace period at a time, and waiting for it */
	QC_RANK_RANGE,	       /* range locks: which guest ranges are locked */
	QC_RANK_TABLE,	       /* writer: asking for an L2 table, making it; the first change; I/O */
	QC_RANK_BITMAPS,       /* writer: tables of dirty bitmaps; I/O */
	QC_RANK_ALLOC,	       /* allocator: refcounts; I/O of refcount blocks */
	QC_RANK_SLOT,	       /* table cache: which slice is in which slot */
	QC_RANK_CLUSTER_CACHE, /* cluster cache: which cluster is in which slot */
	QC_RANK_POOL,	       /* pools of idle decoders and encoders */
};

struct THREAD_ATTR(capability("mutex")) qc_mutex {
	pthread_mutex_t m;
	enum qc_rank rank;
};

#ifdef QC_AUDIT
void qc_rank_enter(enum qc_rank rank);
void qc_rank_leave(enum qc_rank rank);
#else
static inline void qc_rank_enter(enum qc_rank rank)
{
	(void)rank;
}
static inline void qc_rank_leave(enum qc_rank rank)
{
	(void)rank;
}
#endif

static inline void qc_mutex_init(struct qc_mutex *m, enum qc_rank rank)
{
	pthread_mutex_init(&m->m, NULL);
	m->rank = rank;
}

static inline void qc_mutex_destroy(struct qc_mutex *m)
{
	pthread_mutex_destroy(&m->m);
}

static inline void qc_lock(struct qc_mutex *m) THREAD_ATTR(acquire_capability(m))
	THREAD_ATTR(no_thread_safety_analysis);
static inline void qc_lock(struct qc_mutex *m)
{
	qc_rank_enter(m->rank);
	pthread_mutex_lock(&m->m);
}

static inline void qc_unlock(struct qc_mutex *m) THREAD_ATTR(release_capability(m))
	THREAD_ATTR(no_thread_safety_analysis);
static inline void qc_unlock(struct qc_mutex *m)
{
	qc_rank_leave(m->rank); /* first: it asserts that this thread holds the lock */
	pthread_mutex_unlock(&m->m);
}

/* Releases the lock, waits until the event is signalled, and takes the lock again. */
static inline void qc_wait(pthread_cond_t *event, struct qc_mutex *m) NEEDS(m);
static inline void qc_wait(pthread_cond_t *event, struct qc_mutex *m)
{
	pthread_cond_wait(event, &m->m);
}

#endif
