/* SPDX-License-Identifier: MIT */
/*
 * request.h - the steps of a request, for use by other requests.
 *
 * submit.c has the public calls: it checks arguments, and begins and ends the request.  All
 * functions here are called by a request in flight on @img, and trust their range: it is
 * inside of the disk.  A function that changes the disk needs an image that is open for
 * writing.
 */
#ifndef QC_REQUEST_H
#define QC_REQUEST_H

#include "image/chain_walk.h"
#include "update/writer.h"

/* Reads a range of the disk.  Return: as qc_read(). */
qc_err qc_read_inflight(struct qc_image *img, uint64_t off, uint8_t *buf, size_t len);

/* Reads the bytes of one step of a walk, also if they are doubtful.  Return: 0; -EIO they are
 * lost, which is logged; -ENOMEM. */
qc_err qc_read_step(const struct qc_step *s, uint8_t *buf);

/* Finds the run of data, or of holes, that begins at @off.  Return: as qc_block_status(). */
qc_err qc_block_status_inflight(struct qc_image *img, uint64_t off, struct qc_extent *out);

/* Finds out where the run of bytes at @off is.  Return: as qc_get_mapping(). */
qc_err qc_mapping_get_inflight(struct qc_image *img, uint64_t off, struct qc_mapping *out);

/* Writes a range of the disk.  Return: as qc_write(). */
qc_err qc_write_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf, uint64_t len);

/* Writes a range of the disk, whole clusters compressed.  Return: as qc_write_compressed(). */
qc_err qc_write_compressed_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf,
				    uint64_t len);

/*
 * qc_compress_cluster() - compress guest data for qc_store_cluster_inflight()
 * @len:  a cluster, or less at the end of the disk
 * @out:  room for a cluster
 * @n:    out: bytes of @out; 0: the cluster is better stored plain
 *
 * The image is one that qc_image_can_compress().  The caller need not be in flight.
 * Return: 0; -ENOMEM
 */
qc_err qc_compress_cluster(struct qc_image *img, const uint8_t *buf, uint64_t len, uint8_t *out,
			   size_t *n);

/* Stores a cluster of guest data, compressed if it can be.  @off, @buf, @len: the guest data;
 * @compressed, @n: of qc_compress_cluster().  Return: as qc_write(). */
qc_err qc_store_cluster_inflight(struct qc_image *img, uint64_t off, const uint8_t *buf,
				 uint64_t len, const uint8_t *compressed, size_t n);

/* The same, for data that compression makes shorter.  @if_empty: only if the image has neither data
 * nor compressed data there.  Return: as qc_write(); QC_MUST_WRITE_PLAIN: nothing was stored. */
qc_err qc_store_compressed_inflight(struct qc_image *img, uint64_t off, uint64_t len,
				    const uint8_t *compressed, size_t n, bool if_empty);

/* Allocates host clusters where the range has none.  @sparse: as qc_preallocate().  Return: as
 * qc_allocate(). */
qc_err qc_allocate_inflight(struct qc_image *img, uint64_t off, uint64_t len, bool sparse);

/* Makes a range read as zeros.  @keep: its host clusters stay allocated.
 * Return: as qc_write_zeroes(). */
qc_err qc_write_zeroes_inflight(struct qc_image *img, uint64_t off, uint64_t len, bool keep);

/* Makes the disk read as zeros.  @size: of the disk.  Return: as qc_clear(). */
qc_err qc_clear_inflight(struct qc_image *img, uint64_t size);

#endif
