/* SPDX-License-Identifier: MIT */
/* lost_disk_size.h - the size of a disk whose header is lost. */
#ifndef QC_LOST_DISK_SIZE_H
#define QC_LOST_DISK_SIZE_H

#include "format/header.h"

/*
 * qc_lost_disk_size() - find out how large the disk of found tables is
 * @snapshot_size:  of the last snapshot; 0: none
 *
 * The partition table of the disk tells it, if that is a GPT with a valid CRC; else the last
 * snapshot; else the last L1 entry in use.  Too large is harmless: that part has no clusters.
 */
uint64_t qc_lost_disk_size(struct qc_file *f, const struct qc_header *h, uint64_t snapshot_size);

#endif
