/* SPDX-License-Identifier: MIT */
/*
 * qcow_copy.h - the part of qcow.h that stores clusters compressed, and copies disks.
 */
#ifndef QCOW_COPY_H
#define QCOW_COPY_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Returns true if clusters of the image can be stored compressed: it is not encrypted, has no
 * external data file, and this build has its compression method. */
bool qc_image_can_compress(const struct qc_image *img);

/*
 * qc_write_compressed() - write to the disk, and store whole clusters compressed
 *
 * Compresses each cluster that the range covers (the last one up to the end of the disk), by
 * the method of the image, in the calling thread.  A cluster is stored plain if it has plain
 * data already, or if less than a sector is saved.  So is the rest of the range, and all of it
 * unless qc_image_can_compress().  A later qc_write() makes a compressed cluster plain.
 * Return: as qc_write()
 */
qc_err qc_write_compressed(struct qc_image *img, uint64_t off, const void *buf, size_t len);

/*
 * qc_write_gathered() - write a part of a cluster, and store the cluster compressed once all of it
 *			 was written
 *
 * Parts that follow each other wait in memory, at most one cluster for each open image.  So do
 * those that leave gaps where the disk reads as zeros.  All other parts are written as by
 * qc_write().  Each request on the disk finds the parts, and qc_flush() and qc_writeback() store
 * them.  If they cannot be stored, so says the request that needs them, and then the next
 * qc_write_gathered(), qc_flush() or qc_writeback() of the image.
 * The image is one that qc_image_can_compress().
 * Return: as qc_write()
 */
qc_err qc_write_gathered(struct qc_image *img, uint64_t off, const void *buf, size_t len);

/*
 * qc_lock_raw_disk() - lock a raw file as QEMU locks a disk
 * @fd:     open for reading, and for writing if @write
 * @write:  take the locks of a writer
 *
 * The locks end with the open file description of @fd.
 * Return: 0; -EBUSY another program uses the file; else as fcntl(2)
 */
qc_err qc_lock_raw_disk(int fd, bool write, enum qc_locking how, struct qc_reason *why);

/* ---- copies ------------------------------------------------------------------ */

/* A disk to copy from or to. */
struct qc_disk {
	struct qc_image *img; /* NULL: a raw file, a block device or a pipe */
	int fd;		      /* of such a file; stays the caller's */
	uint64_t size;	      /* of such a disk, in bytes; whole sectors */
};

enum qc_copy_flag {
	QC_COPY_COMPRESS = 1 << 0,    /* store clusters as qc_write_compressed() does */
	QC_COPY_TO_ZEROS = 1 << 1,    /* the target reads as zeros: write none */
	QC_COPY_DIFFERENCES = 1 << 2, /* write to an image only the clusters that differ in it */
	QC_COPY_STREAM = 1 << 3,      /* the target is a pipe */
	QC_COPY_ANY_ORDER = 1 << 4,   /* do not store in the order of the disk */
	QC_COPY_FULL = 1 << 5,	      /* write zeros and holes as data */
	QC_COPY_SALVAGE = 1 << 6,     /* sectors that cannot be read are zeros */
};

/* Told that @done of @total bytes need no more work.  Called from any thread, never by two at
 * a time.  Returns false to stop the copy. */
typedef bool qc_copy_progress_fn(void *arg, uint64_t done, uint64_t total);

struct qc_copy {
	struct qc_disk from, to;
	struct qc_image *areas; /* copy only clusters where it has data; NULL: all */
	unsigned int flags;    /* enum qc_copy_flag */
	unsigned int requests; /* threads; 0: 8, or to compress one for each processor if that is more */
	uint32_t zero_bytes;   /* zeros that become a hole in a raw file; 0: 4096 */
	qc_copy_progress_fn *progress; /* may be NULL */
	void *arg;
};

/*
 * qc_copy() - copy the whole of a disk to the begin of another one
 *
 * Whole clusters of zeros are not stored in an image.  Memory is 2 MiB for each
 * request, and twice that to compress or compare.  The target is not flushed.  With
 * QC_COPY_DIFFERENCES bytes that both disks read from one file are not compared.
 * Return: 0;
 *	-ECANCELED   the progress function asked for it
 *	-ENOSPC      the target is smaller than the source, or the file system is full
 *	-EOPNOTSUPP  QC_COPY_COMPRESS, and the target is none that qc_image_can_compress()
 *	-EINVAL      QC_COPY_DIFFERENCES, and the target is no image
 *	else as qc_read() or qc_write()
 */
qc_err qc_copy(const struct qc_copy *c);

#ifdef __cplusplus
}
#endif

#include "qcow_chain.h" /* these need the types above */
#include "qcow_compare.h"

#endif
