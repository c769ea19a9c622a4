/* SPDX-License-Identifier: MIT */
/*
 * guard.h - where the metadata of an image file is, for one whose tables were not all
 * compared: there an entry may say of a table that it is data, to be written in place.
 *
 * The clusters are noted when the writer is opened.  What was metadata then may be data
 * by now, but not the other way round: tables are made in clusters that nobody names.
 */
#ifndef QC_GUARD_H
#define QC_GUARD_H

#include "writer.h"

/* Notes them.  Nobody else uses the writer yet. */
qc_err qc_guard_new(struct qc_writer *w, struct qc_guard **out);
void qc_guard_free(struct qc_guard *g);

/* Whether the stretch of the file is, in part, an L2 table, a block of refcounts, or of
 * the snapshots' tables. */
qc_err qc_guard_look(struct qc_writer *w, uint64_t off, uint64_t len, bool *metadata);

#endif
