/* SPDX-License-Identifier: MIT */
/*
 * verdicts.h - for each cluster of an image file: do its references agree with its refcount?
 *
 * The refcounts are the only second record that the format has of its mapping.  A table that
 * was emptied or overwritten cannot be told from a sound one entry by entry.  But its clusters
 * are counted, and no entry references them any more.
 */
#ifndef QC_VERDICTS_H
#define QC_VERDICTS_H

#include "layer/metadata_walk.h"
#include "rescue/salvage.h"

enum qc_verdict {
	QC_VERDICT_NOT_REFERENCED,
	QC_VERDICT_SOUND,    /* as many references as the refcount says */
	QC_VERDICT_DIFFERS,  /* more or fewer; or several, and no refcounts to compare with */
	QC_VERDICT_CONFLICT, /* both guest data and metadata */
};

enum qc_proof {
	QC_PROOF_NONE,	       /* no refcounts, or they cannot be read */
	QC_PROOF_MISSING,      /* clusters are counted that nothing references */
	QC_PROOF_NOTHING_LOST, /* some refcounts are too low, none too high */
	QC_PROOF_PROVED,       /* all are equal */
};

struct qc_verdicts {
	uint64_t n;	     /* clusters; of version 1: sectors */
	unsigned int bits;   /* log2 of the bytes of one of them */
	uint8_t *verdict;    /* two bits for each */
	enum qc_proof proof;
	uint64_t referenced; /* clusters with a reference */
	uint64_t missing;    /* clusters whose refcount is higher than their references */
	uint64_t behind;     /* clusters whose refcount is lower */
	uint64_t unread;     /* bytes of metadata that could not be read */
	bool explained;	     /* each byte of the file that is not zero has one reference: then
			      * no table can be missing, with or without refcounts */
	bool is_cut;	     /* an entry references a cluster behind the end of the file */
};

/*
 * qc_verdicts_new() - compare all references of an image file with the refcounts
 * @file:    the image file, through a salvaging file
 * @budget:  for the cache of refcount blocks
 *
 * Reads all tables, for each 8 Mi clusters once.  Takes 2 bits for each cluster, and 32 MiB.
 * Return: 0; -ENOMEM; an errno of stat(2)
 */
qc_err qc_verdicts_new(struct qc_salvage *file, const struct qc_header *head,
		       struct qc_budget *budget, struct qc_verdicts *out);
void qc_verdicts_free(struct qc_verdicts *v);

/* Returns the worst verdict of the clusters of an extent.  Those behind the last one are
 * QC_VERDICT_DIFFERS. */
enum qc_verdict qc_verdicts_find(const struct qc_verdicts *v, uint64_t off, uint64_t len);

/* Returns true if anything references a cluster. */
bool qc_verdicts_is_referenced(const struct qc_verdicts *v, uint64_t cluster);

/* Returns true if a range that no entry maps is known to have no data: all tables are there. */
static inline bool qc_verdicts_absent_is_sure(const struct qc_verdicts *v)
{
	return v->proof == QC_PROOF_PROVED || v->explained;
}

#endif
