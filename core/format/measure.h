/* SPDX-License-Identifier: MIT */
/*
 * measure.h - how long the file of a new image becomes.
 */
#ifndef QC_MEASURE_H
#define QC_MEASURE_H

#include "format/new_image.h"

/*
 * qc_measure_metadata() - bytes of all metadata of an image whose disk is wholly allocated
 * @l:      layout of the empty image
 * @order:  log2 of the bits of a refcount
 *
 * Counts as QEMU does: whole L2 tables for the rounded disk, whole clusters of L1 entries, and the
 * refcounts for all that. Without the LUKS header.
 */
uint64_t qc_measure_metadata(const struct qc_new_layout *l, unsigned int order);

#endif
