/* SPDX-License-Identifier: MIT */
/* file_holes.h - may allocated clusters of an image file be holes of that file? */
#ifndef QC_FILE_HOLES_H
#define QC_FILE_HOLES_H

#include "layer/layer.h"

/*
 * qc_file_holes_in_use() - compare the clusters in use with the space of the file
 * @out:  a tenth of the clusters with a refcount, and two at least, has no space on the file
 *	  system: metadata was preallocated, or the file system compresses
 *
 * As QEMU's qcow2_detect_metadata_preallocation().  Reads refcounts from the file, once for
 * each layer, and only if the file has holes.
 * Return: 0; -ENOMEM; an errno of the file
 */
qc_err qc_file_holes_in_use(struct qc_layer *l, bool *out);

#endif
