/* SPDX-License-Identifier: MIT */
/*
 * reference_count.h - how often each cluster of an image file is named: by the tables of the disk
 * and of its snapshots, and by the metadata itself.  Counted in windows of the file,
 * so that memory does not grow with it.
 *
 * Version 1 counts nothing, and its data may begin in any sector: there a cluster, here, is
 * a sector.
 */
#ifndef QC_REFERENCE_COUNT_H
#define QC_REFERENCE_COUNT_H

#include "update/writer.h"

enum { QC_NAMES_WINDOW = 8 << 20 }; /* clusters */

/* Of a cluster: how often it is named, and by whom. */
#define QC_NAMES_IN_PLACE (UINT32_C(1) << 31) /* one who writes there without a look */
#define QC_NAMES_TABLE (UINT32_C(1) << 30)    /* as metadata */
#define QC_NAMES_DATA (UINT32_C(1) << 29)     /* by an entry of an L2 table */
#define QC_NAMES_MOST (QC_NAMES_DATA - 1)     /* so often, or more */

struct qc_names {
	struct qc_writer *w;
	const struct geom *g;
	uint64_t n;	    /* clusters of the file when it was opened, or as extended */
	uint64_t limit;	    /* what may be named ends here: n, or what the caller put behind that */
	uint64_t first;	    /* of the window */
	unsigned int bits;  /* log2 of the bytes of a cluster */
	bool tolerant;	    /* what is damaged names nothing, instead of -EIO */
	bool distrust;	    /* COPIED flags mean nothing */
	bool impossible;    /* something behind the limit was named, or more tables than it has
			     * room for */
	bool shared;	    /* what is read belongs to a snapshot */
	uint64_t tables;    /* L2 tables that were read */
	uint32_t *of;	    /* of each cluster of the window */
	qc_err (*read_one)(struct qc_names *m); /* about to read an L2 table; may be NULL */
};

/* Nobody else uses the writer meanwhile. */
qc_err qc_names_open(struct qc_names *m, struct qc_writer *w);
void qc_names_close(struct qc_names *m);

/* Lets n, which is no less than before, clusters be named, also behind the end of the file. */
qc_err qc_names_extend(struct qc_names *m, uint64_t n);

/* Counts the names of the clusters from `first` on, a window of them.  -EIO if a table is
 * damaged, unless it is tolerant. */
qc_err qc_names_count(struct qc_names *m, uint64_t first);

/* The end of the window, or of the file. */
uint64_t qc_names_end(const struct qc_names *m);

/* Of a cluster in the window. */
static inline uint64_t qc_names_of(const struct qc_names *m, uint64_t cluster)
{
	return m->of[cluster - m->first] & QC_NAMES_MOST;
}

/* Whether a write by one of its names would be seen by another: what tables hold is changed in
 * many ways. */
static inline bool qc_names_clash(const struct qc_names *m, uint64_t cluster)
{
	uint32_t by = m->of[cluster - m->first];

	return (by & QC_NAMES_IN_PLACE && qc_names_of(m, cluster) > 1) ||
	       (by & QC_NAMES_TABLE && by & QC_NAMES_DATA);
}

/* Reads the L1 table at `offset`, and gives each of its L2 tables to fn, with its entry. */
typedef qc_err qc_names_fn(struct qc_names *m, uint64_t offset, uint64_t word, uint8_t *table);
qc_err qc_names_each_l2(struct qc_names *m, uint64_t offset, uint64_t entries, qc_names_fn *fn);

/* How many L2 tables one count reads, at most. */
qc_err qc_names_cost(struct qc_names *m, uint64_t *tables);

#endif
