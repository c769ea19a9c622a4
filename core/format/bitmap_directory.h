/* SPDX-License-Identifier: MIT */
/*
 * bitmap_directory.h - persistent dirty bitmaps: their directory.  They are not kept true by
 * us: the first write says so in the header, and here in the log.
 */
#ifndef QC_BITMAP_DIRECTORY_H
#define QC_BITMAP_DIRECTORY_H

#include "layer/layer.h"

/* Logs which bitmaps are no longer valid. */
void qc_bitmaps_warn(struct qc_layer *l);

/* Parses n entries of a directory of `bytes` bytes, whose clusters have `cluster`
 * bytes.  The names point into it, and have no NUL behind them.  Fills *out up to
 * where it fails, and says in *got how many these are.  -EINVAL an entry is
 * impossible, or the directory is longer, or shorter, than they are. */
qc_err qc_bitmaps_parse(const uint8_t *dir, uint64_t bytes, uint64_t cluster, uint32_t n,
			struct qc_bitmap *out, uint32_t *got);

/* Reads the directory that the header names.  -EFBIG longer than is listed; -EIO the
 * file ends inside it. */
qc_err qc_bitmaps_read(struct qc_file *f, const struct qc_header *h, struct qc_bitmaps *out);

#endif
