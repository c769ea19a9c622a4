/* SPDX-License-Identifier: MIT */
/* bitmap_view.h - an image that shows the dirty granules of a bitmap (qc_bitmap_open()). */
#ifndef QC_BITMAP_VIEW_H
#define QC_BITMAP_VIEW_H

#include "base/util.h"

/* Returns the number by which a view of the bitmap is pinned in its layer (struct qc_pin). */
uint64_t qc_bitmap_view_pin(const char *name, size_t len);

#endif
