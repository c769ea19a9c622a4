/* SPDX-License-Identifier: MIT */
/*
 * cow_write.h - copy on write: writes that need new host clusters.
 *
 * Called for each part of a write that cannot go to the file in place.  A request covers a
 * run of guest clusters whose L2 entries are in one slice, and holds a range lock on them.
 * The order of its steps is that of writer.h: allocate, write data, link, free the old
 * clusters.  This file has the order.  A filler decides on the contents of each step.
 */
#ifndef QC_COW_WRITE_H
#define QC_COW_WRITE_H

#include "image/image.h"
#include "update/writer.h"

enum { COW_CLUSTERS_MAX = 128 }; /* of one request */

struct qc_cow_filler;

struct qc_cow_request {
	struct qc_image *img;
	struct qc_writer *w;
	const struct qc_cow_filler *filler;

	/* Bytes to store for the one guest cluster of a compressed write. */
	const uint8_t *compressed;
	size_t compressed_len;

	/* Guest range of the caller.  It begins in the first cluster, and ends in the last. */
	uint64_t off, end;
	const uint8_t *buf; /* its data; NULL to preallocate */

	struct goff start; /* of the first cluster */
	uint64_t n;	   /* clusters */
	struct hoff l2_table;
	struct l2_entry old[COW_CLUSTERS_MAX]; /* their entries, before the request */
	struct qc_l2_raw raw[COW_CLUSTERS_MAX]; /* as they stand in the table */

	/* Set by filler->allocate. */
	struct hoff host;
	uint64_t host_bytes;
	bool keeps_host;    /* `host` belongs to the old entry: no cluster becomes free */
	bool never_written; /* the new clusters read as zeros */
};

/* A policy for new clusters.  Each function may read the whole request. */
struct qc_cow_filler {
	/* Returns true if a request that held the range lock before has done the work. */
	bool (*is_done)(const struct qc_map_extent *x);
	/* Allocates space for the first clusters, and lowers c->n to their number. */
	qc_err (*allocate)(struct qc_cow_request *c);
	/* Writes all data that the new space needs: COW regions and guest data. */
	qc_err (*fill)(struct qc_cow_request *c);
	/* Changes c->raw to the new L2 entries. */
	void (*encode)(struct qc_cow_request *c);
	/* Undoes `allocate`.  The new space was not linked. */
	void (*cancel)(struct qc_cow_request *c);
};

/* Writes guest data to plain clusters. */
extern const struct qc_cow_filler qc_cow_fill_data;

/* Writes compressed data. */
extern const struct qc_cow_filler qc_cow_fill_compressed;

/* Allocates plain clusters that read as the disk did before. */
extern const struct qc_cow_filler qc_cow_preallocate;

/*
 * qc_cow_write() - allocate clusters for the first part of a range
 * @off:   guest offset, in a cluster that is not writable in place
 * @buf:   @len bytes of data; NULL to preallocate
 * @done:  out: bytes from @off on that are finished.  0 if another request has
 *	   changed these clusters: the caller looks them up again
 *
 * Context: the caller is in flight; takes a range lock; may make a checkpoint.
 * Return: 0; -ENOSPC, -EFBIG the file cannot grow; -ENOMEM; -EIO; an errno of the file.
 */
qc_err qc_cow_write(struct qc_image *img, const struct qc_cow_filler *filler, uint64_t off,
		    const uint8_t *buf, uint64_t len, uint64_t *done);

/*
 * qc_cow_write_compressed() - store the compressed data of one guest cluster
 * @off, @len:   the cluster, up to the end of the disk
 * @buf, @n:     its compressed data
 * @done:        out: @len, or 0: as for qc_cow_write()
 *
 * Context, return: as qc_cow_write(); QC_MUST_WRITE_PLAIN if the cluster has plain data.
 */
qc_err qc_cow_write_compressed(struct qc_image *img, uint64_t off, uint64_t len,
			       const uint8_t *buf, size_t n, uint64_t *done);

#endif
