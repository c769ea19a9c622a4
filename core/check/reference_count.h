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

enum { QC_REF_WINDOW = 8 << 20 }; /* clusters */

/* Of a cluster: how often it is named, and by whom. */
#define QC_REF_WRITABLE (UINT32_C(1) << 31) /* one who writes there without a look */
#define QC_REF_METADATA (UINT32_C(1) << 30)    /* as metadata */
#define QC_REF_GUEST_DATA (UINT32_C(1) << 29)     /* by an entry of an L2 table */
#define QC_REF_COUNT_MAX (QC_REF_GUEST_DATA - 1)     /* so often, or more */

struct qc_reference_count {
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
	qc_err (*read_one)(struct qc_reference_count *m); /* about to read an L2 table; may be NULL */
};

/* Nobody else uses the writer meanwhile. */
qc_err qc_reference_count_open(struct qc_reference_count *m, struct qc_writer *w);
void qc_reference_count_close(struct qc_reference_count *m);

/* Lets n, which is no less than before, clusters be named, also behind the end of the file. */
qc_err qc_reference_count_extend(struct qc_reference_count *m, uint64_t n);

/* Counts the names of the clusters from `first` on, a window of them.  -EIO if a table is
 * damaged, unless it is tolerant. */
qc_err qc_reference_count_run(struct qc_reference_count *m, uint64_t first);

/* The end of the window, or of the file. */
uint64_t qc_reference_count_end(const struct qc_reference_count *m);

/* Of a cluster in the window. */
static inline uint64_t qc_reference_count_of(const struct qc_reference_count *m, uint64_t cluster)
{
	return m->of[cluster - m->first] & QC_REF_COUNT_MAX;
}

/* Whether a write by one of its names would be seen by another: what tables hold is changed in
 * many ways. */
static inline bool qc_reference_conflict(const struct qc_reference_count *m, uint64_t cluster)
{
	uint32_t by = m->of[cluster - m->first];

	return (by & QC_REF_WRITABLE && qc_reference_count_of(m, cluster) > 1) ||
	       (by & QC_REF_METADATA && by & QC_REF_GUEST_DATA);
}

/* Reads the L1 table at `offset`, and gives each of its L2 tables to fn, with its entry. */
typedef qc_err qc_metadata_l2_fn(struct qc_reference_count *m, uint64_t offset, uint64_t word, uint8_t *table);
qc_err qc_metadata_for_each_l2(struct qc_reference_count *m, uint64_t offset, uint64_t entries, qc_metadata_l2_fn *fn);

/* How many L2 tables one count reads, at most. */
qc_err qc_reference_l2_tables(struct qc_reference_count *m, uint64_t *tables);

#endif
