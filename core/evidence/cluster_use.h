/* SPDX-License-Identifier: MIT */
/*
 * cluster_use.h - which clusters of an image file are referenced, and which are counted.
 */
#ifndef QC_CLUSTER_USE_H
#define QC_CLUSTER_USE_H

#include "evidence/tables.h"

enum {
	QC_USE_REFERENCED = 1, /* by the header, a table, or data of the disk or of a snapshot */
	QC_USE_COUNTED = 2,    /* the refcount is not 0 */
};

struct qc_cluster_use {
	uint8_t *state; /* two bits for each cluster */
	uint64_t n;
};

/* Walks all metadata.  Return: 0; -ENOMEM; an errno of the file. */
qc_err qc_cluster_use_new(struct qc_tables *t, struct qc_cluster_use *out);
void qc_cluster_use_free(struct qc_cluster_use *u);

static inline unsigned int qc_cluster_use_of(const struct qc_cluster_use *u, uint64_t cluster)
{
	return u->state[cluster / 4] >> cluster % 4 * 2 & 3;
}

/* Returns the end of the run of clusters with the same use. */
uint64_t qc_cluster_use_end(const struct qc_cluster_use *u, uint64_t cluster);

#endif
