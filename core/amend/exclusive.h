/* SPDX-License-Identifier: MIT */
/*
 * exclusive.h - the frame of changes that need an image file for themselves.
 *
 * The change runs in a drained section with no dirty metadata: all tables are in the file, and
 * no request is on its way to a cluster that becomes free.
 */
#ifndef QC_EXCLUSIVE_H
#define QC_EXCLUSIVE_H

#include "base/log.h"
#include "image/image.h"
#include "update/writer.h"

/* A change.  On failure it sets @why. */
typedef qc_err qc_exclusive_fn(struct qc_writer *w, void *arg, struct qc_reason *why);

/*
 * qc_exclusive_run() - run @fn on an image in a drained section
 *
 * Most metadata is written before requests are stopped, the rest then.  Metadata that is dirty
 * afterwards is written before the function returns.
 * Return: 0; -EROFS the image is not open for writing; -EIO; an errno of the file; as @fn
 */
qc_err qc_exclusive_run(struct qc_image *img, qc_exclusive_fn *fn, void *arg,
			struct qc_reason *why);

#endif
