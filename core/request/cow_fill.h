/* SPDX-License-Identifier: MIT */
/* cow_fill.h - fillers: what a copy-on-write request allocates and writes. */
#ifndef QC_COW_FILL_H
#define QC_COW_FILL_H

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
	bool if_empty; /* only if the cluster has no data, also no compressed data */

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

/* The same, with holes in the file where nothing was written before. */
extern const struct qc_cow_filler qc_cow_preallocate_sparse;

#endif
