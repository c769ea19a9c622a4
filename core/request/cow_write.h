/* SPDX-License-Identifier: MIT */
/*
 * cow_write.h - copy on write: writes that need new host clusters.
 *
 * Called for each part of a write that cannot go to the file in place.  A request covers a
 * run of guest clusters whose L2 entries are in one slice, and holds a range lock on them.
 * The order of its steps is that of writer.h: allocate, write data, link, free the old
 * clusters.  A filler decides on the contents of each step (cow_fill.h).
 */
#ifndef QC_COW_WRITE_H
#define QC_COW_WRITE_H

#include "request/cow_fill.h"

/*
 * qc_cow_write() - allocate clusters for the first part of a range
 * @off:   guest offset, in a cluster that is not writable in place
 * @buf:   @len bytes of data; NULL to preallocate
 * @done:  out: bytes from @off on that are finished.  0 if another request has
 *	   changed these clusters: the caller looks them up again
 *
 * Context: the caller is in flight; takes a range lock; may make a checkpoint.
 * Return: 0; -ENOSPC, -EFBIG the file cannot grow; -ENOMEM; -EIO; an errno of the file.
 */
qc_err qc_cow_write(struct qc_image *img, const struct qc_cow_filler *filler, uint64_t off,
		    const uint8_t *buf, uint64_t len, uint64_t *done);

/*
 * qc_cow_write_compressed() - store the compressed data of one guest cluster
 * @off, @len:   the cluster, up to the end of the disk
 * @buf, @n:     its compressed data
 * @if_empty:    only if the cluster has no compressed data, either
 * @done:        out: @len, or 0: as for qc_cow_write()
 *
 * Context, return: as qc_cow_write(); QC_MUST_WRITE_PLAIN if the cluster has plain data.
 */
qc_err qc_cow_write_compressed(struct qc_image *img, uint64_t off, uint64_t len,
			       const uint8_t *buf, size_t n, bool if_empty, uint64_t *done);

#endif
