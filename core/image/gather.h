/* SPDX-License-Identifier: MIT */
/*
 * gather.h - parts of a cluster that wait in memory until the whole cluster was written.
 *
 * A cluster can be stored compressed only as a whole, but a program may write it in parts.
 * request/gathered_write.c fills one cluster for each open image.  All other requests call the
 * functions below, which store such a cluster first.
 *
 * Invariant: a request that begins after a write has returned finds its bytes in the image, or
 * stores them there before it goes on.  A crash loses at most bytes that no flush has covered.
 *
 * A thread that waits here must not be in flight: another thread may need a grace period to store
 * a cluster.
 */
#ifndef QC_GATHER_H
#define QC_GATHER_H

#include "image/image.h"

enum { GATHER_PARTS_MAX = 32 };

enum qc_gather_state {
	QC_GATHER_EMPTY,
	QC_GATHER_FILLING,
	QC_GATHER_STORING, /* one thread stores it, without the lock */
};

/* Stores the bytes of the cluster.  @ended: its writer is behind the cluster, or has closed the
 * file.  Return: as qc_write(). */
typedef qc_err qc_gather_store_fn(struct qc_gather *g, bool ended);

/* The cluster that an image gathers.  All fields but the first two are under the lock of the
 * list, or belong to the thread that stores it. */
struct qc_gather {
	struct qc_image *img;
	qc_gather_store_fn *store;

	enum qc_gather_state state;
	uint64_t serial;      /* of this filling; it grows */
	uint64_t start;	      /* guest offset of the cluster */
	uint64_t passed;      /* bytes from `start` to where the last part ends */
	uint64_t filled;      /* bytes of all parts */
	bool gaps_are_zeros;  /* the disk reads as zeros between the parts */
	uint8_t *buf;	      /* a cluster; zeros between the parts */
	unsigned int nparts;
	struct qc_gather_part {
		uint64_t from, end; /* from `start` on; in ascending order */
	} part[GATHER_PARTS_MAX];

	qc_err error; /* of a store, that the image was not told yet */
	struct qc_gather *next; /* in the list of the context */
};

/* Adds the gatherer of an image to the list.  Return: it; NULL without memory. */
struct qc_gather *qc_gather_of(struct qc_image *img, qc_gather_store_fn *store);

/* Returns true if a part at guest offset @off continues the gathered cluster.  Needs the lock. */
bool qc_gather_continues(const struct qc_gather *g, uint64_t off);

/* Returns true if another image gathers this cluster of the same layer.  Needs the lock. */
bool qc_gather_is_elsewhere(const struct qc_gather *g, uint64_t start);

/*
 * qc_gather_store_range() - store gathered clusters before a request on a range
 * @len:  UINT64_MAX: up to the end
 *
 * Stores those of the same file that began to fill before the call.
 * Return: 0; that of the first that failed
 */
qc_err qc_gather_store_range(struct qc_image *img, uint64_t off, uint64_t len);

/* Likewise for a part at @off that is about to be gathered.  Leaves the image's own cluster if
 * this part continues it. */
qc_err qc_gather_store_for_part(struct qc_gather *g, uint64_t off);

/* Stores all of the image, and returns an error that it was not told yet.  @ended: as for
 * qc_gather_store_fn. */
qc_err qc_gather_flush(struct qc_image *img, bool ended);

/* Returns the error that the image was not told yet, and forgets it. */
qc_err qc_gather_take_error(struct qc_gather *g);

/* Stores all of the image, and gathers nothing until qc_gather_unblock().  Call it before a
 * drained section.  The owner of a cluster that cannot be stored is told later. */
void qc_gather_block(struct qc_image *img);
void qc_gather_unblock(struct qc_image *img);

/* Stores the cluster of the image, and frees the gatherer.  Logs a failure. */
void qc_gather_close(struct qc_image *img);

#endif
