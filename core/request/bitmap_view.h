/* SPDX-License-Identifier: MIT */
/* bitmap_view.h - reads of an image that shows the dirty granules of a bitmap (qc_bitmap_open()). */
#ifndef QC_BITMAP_VIEW_H
#define QC_BITMAP_VIEW_H

#include "image/image.h"

/* Returns true if the image is such a view. */
static inline bool qc_image_is_bitmap(const struct qc_image *img)
{
	return img->bitmap.name;
}

/* Reads a range, which is inside of the disk.  In flight.  Return: as qc_read(). */
qc_err qc_bitmap_view_read(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len);

/* Finds the run of dirty or clean granules at @off.  In flight.  Return: as qc_read(). */
qc_err qc_bitmap_view_status(struct qc_image *img, uint64_t off, struct qc_extent *out);

/* Returns the number by which a view of the bitmap is pinned in its layer (struct qc_pin). */
uint64_t qc_bitmap_view_pin(const char *name, size_t len);

#endif
