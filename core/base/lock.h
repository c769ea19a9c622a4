/* SPDX-License-Identifier: MIT */
/*
 * lock.h - mutexes that know their rank.
 *
 * A thread takes locks in ascending rank and never two of one rank.  With
 * -Daudit=true the first inversion aborts; clang checks NEEDS() always.
 * No lock is held across the I/O of guest data, and none across any I/O at all
 * where it does not say so here.
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

/* For a function that is left with other locks than it was entered with, or where one
 * goes by another name than with its caller. */
#define UNCHECKED THREAD_ATTR(no_thread_safety_analysis)

enum qc_rank {
	QC_RANK_OPEN = 1,  /* layer: making it writable; held across I/O (and context: the flusher) */
	QC_RANK_RESIZE,	   /* writer: one resize at a time; held across I/O */
	QC_RANK_LAYER_TABLE,	   /* context: which layers are open */
	QC_RANK_PENDING_FREE,	   /* writer: one at a time frees what is in limbo; across I/O */
	QC_RANK_CHECKPOINT,	   /* writer: one checkpoint at a time; held across I/O */
	QC_RANK_INFLIGHT,	   /* gate: who waits for a grace period */
	QC_RANK_RANGE,	   /* claim: which clusters are being remapped */
	QC_RANK_TABLE,	   /* writer: making L2 tables; held across their I/O */
	QC_RANK_ALLOC,	   /* alloc: counts; held across the I/O of blocks */
	QC_RANK_SLOT,	   /* cache: which slice is in which slot */
	QC_RANK_CLUSTER_CACHE,  /* unpack: which clusters are unpacked */
	QC_RANK_POOL,	   /* codec: idle contexts */
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
	qc_rank_leave(m->rank); /* first: it sees who never had it */
	pthread_mutex_unlock(&m->m);
}

/* Gives the lock up until the event is signalled, and takes it again. */
static inline void qc_wait(pthread_cond_t *event, struct qc_mutex *m) NEEDS(m);
static inline void qc_wait(pthread_cond_t *event, struct qc_mutex *m)
{
	pthread_cond_wait(event, &m->m);
}

#endif
