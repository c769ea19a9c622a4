/* SPDX-License-Identifier: MIT */
/*
 * check.h - whether an image's refcounts, and who has what, are to be trusted with writing.
 */
#ifndef QC_CHECK_H
#define QC_CHECK_H

#include "update/writer.h"

/* Sets *lie if a cluster is counted lower than it is named, so that it would be given away
 * while it is in use; or if one name of several lets its owner write in place.
 * All clusters are looked at, with QC_VERIFY_AUTO for no longer than people wait; those
 * of tables in any case.  A damaged table is nobody's lie: who comes by it says so. */
qc_err qc_check_before_write(struct qc_writer *w, bool *lie);

#endif
