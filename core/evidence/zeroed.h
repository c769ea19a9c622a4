/* SPDX-License-Identifier: MIT */
/* zeroed.h - the bytes under clusters that read as zeros. */
#ifndef QC_ZEROED_H
#define QC_ZEROED_H

#include "image/image.h"

/* Opens them as an image of the size of the disk.  Return: as qc_open_evidence() */
qc_err qc_zeroed_open(struct qc_image *img, struct qc_image **out);

#endif
