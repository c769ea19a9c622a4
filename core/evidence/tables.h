/* SPDX-License-Identifier: MIT */
/*
 * tables.h - the metadata of an image file, damaged or not, for a walk that only reads.
 *
 * All files that show how an image file is used walk over this.  It is independent of the
 * caches of the image that is open.
 */
#ifndef QC_TABLES_H
#define QC_TABLES_H

#include "layer/metadata_walk.h"
#include "rescue/salvage.h"

struct qc_tables {
	struct qc_salvage file; /* the walk reads through it */
	struct qc_refcounts refcounts;
	struct qc_metadata md; /* md.refcounts is NULL if there are none */
	unsigned int shift;    /* log2 of a cluster; version 1: of a sector */
	uint64_t file_bytes;
	uint64_t n; /* clusters of the file; the last need not be whole */
};

/* Prepares the metadata of a layer.  Not closed after a failure.
 * Return: 0; -EINVAL a raw file; -ENOMEM; an errno of stat(2) */
qc_err qc_tables_open(struct qc_tables *t, struct qc_layer *l);
void qc_tables_close(struct qc_tables *t);

/* Returns the bytes of a cluster that the file has. */
uint64_t qc_tables_cluster_bytes(const struct qc_tables *t, uint64_t cluster);

#endif
