/* SPDX-License-Identifier: MIT */
/*
 * disk_map.h - goes through the whole disk of a graded image, area by area.
 */
#ifndef QC_DISK_MAP_H
#define QC_DISK_MAP_H

#include "image/image.h"

/* Called for each area of the disk, in order.  Return: 0 goes on; else ends the walk. */
typedef qc_err qc_disk_area_fn(void *arg, uint64_t len, enum qc_grade_reason reason);

/*
 * qc_disk_map_for_each() - call @fn for all areas of the disk
 *
 * Tries to decompress each compressed cluster that its entry makes good.  Each part of the walk
 * is a request in flight.
 * Return: 0; -ENOMEM; -ESTALE another program changed a file; a result of @fn
 */
qc_err qc_disk_map_for_each(struct qc_image *img, qc_disk_area_fn *fn, void *arg);

/* Bytes of the disk by reason. */
struct qc_disk_sums {
	uint64_t bytes[QC_REASONS];
};

/* Adds up the areas of a grade. */
uint64_t qc_disk_map_sum(const struct qc_disk_sums *s, enum qc_grade grade);

#endif
