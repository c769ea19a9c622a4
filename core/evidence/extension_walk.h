/* SPDX-License-Identifier: MIT */
/*
 * extension_walk.h - the header extensions of an image file, one after the other.
 *
 * Unlike qc_header_parse() it also gives those that no program knows.
 */
#ifndef QC_EXTENSION_WALK_H
#define QC_EXTENSION_WALK_H

#include "evidence/tables.h"

struct qc_extension_walk {
	struct qc_file *file;
	uint64_t at;	/* host offset behind the extension; in the end, behind all of them */
	uint64_t limit; /* where the name of the backing file, or the next cluster, begins */
	uint64_t off;	/* of this extension */
	uint32_t magic, len;
	qc_err error; /* of the file; it ends the walk */
};

/* Begins before the first extension of a file of version 2 or 3. */
void qc_extension_walk_begin(struct qc_extension_walk *w, const struct qc_tables *t);

/* Goes to the next extension.  Returns false if there is none. */
bool qc_extension_walk_next(struct qc_extension_walk *w);

#endif
