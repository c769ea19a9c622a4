/* SPDX-License-Identifier: MIT */
/*
 * copy_disk.h - one side of a copy: an image, a raw file, or a pipe.
 */
#ifndef QC_COPY_DISK_H
#define QC_COPY_DISK_H

#include "io/file.h"

/* All zeros: a disk of no bytes, which may be read. */
struct qc_copy_disk {
	struct qc_image *img; /* NULL: a raw file or a pipe */
	struct qc_file *file; /* of a raw file; NULL: a pipe, or an image */
	int fd;		      /* of a pipe */
	uint64_t size;	      /* of the disk, in bytes */
};

enum qc_copy_side {
	QC_COPY_SOURCE,
	QC_COPY_TARGET,
	QC_COPY_PIPE, /* a target that can only be written, with qc_copy_disk_append() */
};

/* Fills @out.  Return: 0; -ENOMEM; as fcntl(2). */
qc_err qc_copy_disk_open(const struct qc_disk *d, enum qc_copy_side side,
			 struct qc_copy_disk *out);
void qc_copy_disk_close(struct qc_copy_disk *d);

/* Reads from the disk; zeros behind its end.  Return: as qc_read(). */
qc_err qc_copy_disk_read(struct qc_copy_disk *d, uint64_t off, uint8_t *buf, size_t len);

/* Finds the run of data, or the hole, at @off.  Behind the end of the disk is a hole of UINT64_MAX
 * bytes.  Return: as qc_block_status(). */
qc_err qc_copy_disk_extent(struct qc_copy_disk *d, uint64_t off, struct qc_extent *out);

/* Writes a range inside the disk, or makes it read as zeros.  Return: as qc_write(). */
qc_err qc_copy_disk_write(struct qc_copy_disk *d, uint64_t off, const uint8_t *buf, size_t len);
qc_err qc_copy_disk_zero(struct qc_copy_disk *d, uint64_t off, uint64_t len);

/* Writes the next bytes to a pipe.  @buf: NULL for zeros.  Return: 0; as write(2). */
qc_err qc_copy_disk_append(struct qc_copy_disk *d, const uint8_t *buf, uint64_t len);

/*
 * qc_copy_disk_measure_equal() - find bytes of two disks that need not be compared
 * @a, @b:  images of one context, or raw files
 * @len:    out: bytes from @off on, up to @end, that are known to be equal
 *
 * They are zeros or holes of both disks, or the same clusters of a file that both chains have.
 * Return: 0; as qc_read(), unless some bytes are known to be equal before the failure
 */
qc_err qc_copy_disk_measure_equal(struct qc_copy_disk *a, struct qc_copy_disk *b, uint64_t off,
				  uint64_t end, uint64_t *len);

#endif
