/* SPDX-License-Identifier: MIT */
/*
 * bitmaps.h - persistent dirty bitmaps of an image that is written.
 *
 * The writer does not update bitmaps.  Before its first change it clears the autoclear
 * bit that declares them valid, and this module names them in the log.
 */
#ifndef QC_BITMAPS_H
#define QC_BITMAPS_H

#include "layer/layer.h"

/* Logs a warning with the names of the bitmaps that become invalid. */
void qc_bitmaps_warn(struct qc_layer *l);

#endif
