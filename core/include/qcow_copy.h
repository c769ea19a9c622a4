/* SPDX-License-Identifier: MIT */
/*
 * qcow_copy.h - the part of qcow.h that stores clusters compressed, and copies disks.
 */
#ifndef QCOW_COPY_H
#define QCOW_COPY_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Returns true if clusters of the image can be stored compressed: it is not encrypted, has no
 * external data file, and this build has its compression method. */
bool qc_image_can_compress(const struct qc_image *img);

/*
 * qc_write_compressed() - write to the disk, and store whole clusters compressed
 *
 * Compresses each cluster that the range covers (the last one up to the end of the disk), by
 * the method of the image, in the calling thread.  A cluster is stored plain if it has plain
 * data already, or if less than a sector is saved.  So is the rest of the range, and all of it
 * unless qc_image_can_compress().  A later qc_write() makes a compressed cluster plain.
 * Return: as qc_write()
 */
qc_err qc_write_compressed(struct qc_image *img, uint64_t off, const void *buf, size_t len);

#ifdef __cplusplus
}
#endif
#endif
