/* SPDX-License-Identifier: MIT */
/*
 * qcow_chain.h - the part of qcow.h that changes which files a disk is read from.
 */
#ifndef QCOW_CHAIN_H
#define QCOW_CHAIN_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A backing file as an image is to name it. */
struct qc_backing_name {
	const char *name;   /* as it is recorded; "": no backing file */
	const char *format; /* "raw", "qcow", "qcow2"; "": not declared.  Version 1 records none */
};

/*
 * qc_rebase() - change the backing file of an image, and keep its disk
 * @img:  open for writing, with its present chain; used by no other thread, and closed afterwards
 * @base:  the disk of the new backing file; NULL: none, and the image holds all data then
 * @to:   the new backing file, as it is recorded
 *
 * Clusters that the image takes from its backing file are compared with the new one, and
 * copied to the image where they differ.  All of that is on stable storage before one write of
 * the header names the new backing file.  So a crash, or a failure, leaves the old one or the
 * new one, and the same disk.
 * Return: 0;
 *	-ECANCELED     @progress returned false; the backing file is the old one
 *	-EINVAL        a name or format that the header cannot hold, or a raw external data file
 *	-ENAMETOOLONG  no room for the name in the first cluster
 *	-EOPNOTSUPP    no room for the format in the header
 *	else as qc_check_walk_ends() and qc_write()
 */
qc_err qc_rebase(struct qc_image *img, const struct qc_disk *base,
		 const struct qc_backing_name *to, qc_copy_progress_fn *progress, void *arg,
		 struct qc_reason *why);

/*
 * qc_set_backing_name() - name another backing file, without reading one
 * @src:  the image; neither its chain nor its key is needed
 *
 * For a backing file that was moved or renamed: the disk changes if its bytes are others.
 * Return: as qc_rebase() and qc_open()
 */
qc_err qc_set_backing_name(struct qc_context *ctx, const struct qc_image_location *src,
			   const struct qc_backing_name *to, struct qc_reason *why);

/*
 * qc_commit() - write the data of an overlay to a file of its backing chain
 * @img:    open for writing; used by no other thread, and closed afterwards
 * @n:      layer that is written: 1 is the backing file
 * @empty:  afterwards, unlink all clusters of the overlay; only if @n is 1
 *
 * The layer grows if the disk of the overlay is larger.  The disk of the overlay stays as it
 * is, also in a crash and after a failure.  Layers between the overlay and layer @n, and other
 * images over layer @n, read other bytes afterwards.
 * Return: 0;
 *	-ECANCELED  @progress returned false; the overlay has all its data
 *	-EBUSY      another image or program uses layer @n
 *	-EROFS      layer @n cannot be written
 *	-EINVAL     there is no layer @n, or @empty and @n > 1
 *	else as qc_check_walk_ends(), qc_write() and qc_resize()
 */
qc_err qc_commit(struct qc_image *img, unsigned int n, bool empty, qc_copy_progress_fn *progress,
		 void *arg, struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
