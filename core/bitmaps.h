/* SPDX-License-Identifier: MIT */
/*
 * bitmaps.h - persistent dirty bitmaps.  They are not kept true by us: the first
 * write says so in the header, and here in the log.
 */
#ifndef QC_BITMAPS_H
#define QC_BITMAPS_H

#include "layer.h"

/* Logs which bitmaps are no longer valid. */
void qc_bitmaps_warn(struct qc_layer *l);

#endif
