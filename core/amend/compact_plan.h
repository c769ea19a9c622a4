/* SPDX-License-Identifier: MIT */
/*
 * compact_plan.h - which clusters move in one round of a compaction, and where to.
 *
 * A round looks at one region of the file.  Clusters with one kind of reference move one by
 * one.  Compressed clusters share host clusters, and cross their borders: their data moves
 * byte by byte.  A structure of several clusters, such as a large L1 table, moves as a whole,
 * with a plan for it alone.
 */
#ifndef QC_COMPACT_PLAN_H
#define QC_COMPACT_PLAN_H

#include "layer/metadata_walk.h"
#include "update/writer.h"

/* The content of a cluster of the region. */
enum qc_compact_kind {
	QC_COMPACT_FREE,
	QC_COMPACT_TABLE,      /* a structure of one cluster */
	QC_COMPACT_DATA,       /* guest data */
	QC_COMPACT_COMPRESSED, /* data of compressed clusters */
	QC_COMPACT_FIXED,      /* part of a structure of several clusters */
};

/* A compressed cluster of the region. */
struct qc_compact_compressed {
	uint64_t from, to; /* host offsets; to 0: it stays */
	uint32_t len;	   /* bytes, at most */
	uint32_t old_len;  /* as the entry says */
	uint32_t refs;	   /* entries that reference it */
};

/* Returns true if the cluster can move alone. */
static inline bool qc_compact_is_single(uint8_t kind)
{
	return kind == QC_COMPACT_TABLE || kind == QC_COMPACT_DATA;
}

struct qc_compact_plan {
	struct qc_writer *w;
	const struct geom *g;
	uint64_t lo, n;	 /* first cluster of the region, and how many */
	uint8_t *kind;	 /* enum qc_compact_kind, by cluster - lo */
	uint64_t *to;	 /* host offset, by cluster - lo; 0: it stays */
	struct qc_compact_compressed *compressed; /* ascending */
	size_t ncompressed, compressed_room;
	uint64_t hole[4]; /* where to look for that many free clusters */
	uint64_t moved;	  /* bytes that the plan moves */
};

/* Makes an empty plan for a region.  Return: 0; -ENOMEM.  To be freed also after a failure. */
qc_err qc_compact_plan_new(struct qc_compact_plan *p, struct qc_writer *w, uint64_t lo, uint64_t n);
void qc_compact_plan_free(struct qc_compact_plan *p);

/* Finds out the kinds of all clusters of the region.  Return: 0; -EIO damaged metadata; -ENOMEM;
 * an errno of the file */
qc_err qc_compact_plan_collect(struct qc_compact_plan *p);

/*
 * qc_compact_plan_downward() - choose a free cluster below for as many clusters as possible
 *
 * Begins with the last cluster of the region.  The chosen clusters get their refcounts in memory.
 * Return: 0; an errno of the file
 */
qc_err qc_compact_plan_downward(struct qc_compact_plan *p);

/* Chooses free clusters, outside of the region, for all its single clusters.
 * Return: 0; -ENOSPC there are too few before @limit; an errno of the file */
qc_err qc_compact_plan_evict(struct qc_compact_plan *p, uint64_t limit);

/* Moves the region as a whole to the free cluster @dest and those behind it. */
qc_err qc_compact_plan_run(struct qc_compact_plan *p, uint64_t dest);

/* Makes the chosen clusters free again.  Nothing in the file references them. */
void qc_compact_plan_cancel(struct qc_compact_plan *p);

/* Finds @n free clusters in a row, from cluster @from on and before @limit; *first is @limit if
 * there are none.  Return: 0; an errno of the file */
qc_err qc_compact_plan_find_free(struct qc_writer *w, uint64_t from, uint64_t limit, uint64_t n,
			    uint64_t *first);

/* Returns the new host offset of @off, or @off itself if it stays. */
uint64_t qc_compact_plan_relocate(const struct qc_compact_plan *p, uint64_t off);

/* Returns the compressed cluster at host offset @from, or NULL if it stays there. */
const struct qc_compact_compressed *qc_compact_plan_compressed_at(const struct qc_compact_plan *p,
						      uint64_t from);

#endif
