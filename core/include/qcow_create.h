/* SPDX-License-Identifier: MIT */
/*
 * qcow_create.h - the part of qcow.h that makes new images.
 */
#ifndef QCOW_CREATE_H
#define QCOW_CREATE_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum qc_create_encryption { QC_CREATE_PLAIN, QC_CREATE_AES, QC_CREATE_LUKS };

/* A new image. 0, false and NULL are the defaults, which are those of qemu-img. */
struct qc_create_options {
	uint64_t size;		   /* of the disk, in bytes; rounded up to whole sectors */
	unsigned int version;	   /* 1, 2, 3 (default) */
	unsigned int cluster_size; /* bytes; a power of two */
	unsigned int refcount_bits;
	const char *compression_type; /* "zlib", "zstd" */
	bool extended_l2, lazy_refcounts;
	const char *data_file; /* name, as it is recorded; the file is the caller's to make */
	bool data_file_raw;
	const char *backing;	    /* name, as it is recorded */
	const char *backing_format; /* "raw", "qcow", "qcow2" */
	enum qc_create_encryption encryption;
	/* The rest is for QC_CREATE_LUKS. */
	const char *cipher_alg;	    /* "aes-256", "aes-128", "serpent-256", ... */
	const char *cipher_mode;    /* "xts", "cbc", "ctr", "ecb" */
	const char *ivgen_alg;	    /* "plain64", "plain", "essiv" */
	const char *ivgen_hash_alg; /* of essiv */
	const char *hash_alg;	    /* of PBKDF2: "sha256", ... */
	unsigned int iter_time_ms;  /* how long to try a passphrase takes; 0: 2000 */
	const void *passphrase;	    /* secure memory */
	size_t passphrase_len;
	enum qc_locking locking; /* on, or off */
	bool no_sync;		 /* leave it to the caller to sync the file */
};

/*
 * qc_measure() - how long the file of a new image becomes, without making it
 * @o:         of versions 2 and 3
 * @metadata:  out: bytes of metadata if the whole disk is allocated
 *
 * The data of the disk comes on top, in whole clusters of @cluster_size (out) bytes.
 * Return: 0; else as qc_create() for the options
 */
qc_err qc_measure(const struct qc_create_options *o, uint64_t *metadata, uint32_t *cluster_size,
		  struct qc_reason *why);

/*
 * qc_create() - make an empty image of a file
 * @fd:  open for reading and writing; all that it holds is lost
 *
 * Checks the options before it changes the file. The file is synced, unless @o->no_sync. QEMU's locks for writing
 * are taken; they end with the open file description of @fd.
 * Return:
 *   0
 *   -EBUSY         another program uses the file as an image
 *   -EINVAL        an option that the version does not have, or an impossible value
 *   -EFBIG         the disk is too large for this cluster size
 *   -ENAMETOOLONG  a name of more than 1,023 bytes, or too long for the header's cluster
 *   -ENOTSUP       an unknown cipher or hash, or a library that this build lacks
 *   or an error of the file
 */
qc_err qc_create(int fd, const struct qc_create_options *o, struct qc_reason *why);

/*
 * qc_create_overlay() - make an empty image over a backing file
 * @fd:       open for reading and writing; all that it holds is lost
 * @size:     of the disk; rounded up to whole sectors
 * @backing:  name of the backing file, as it is recorded
 * @format:   "qcow" or "qcow2"
 *
 * The image has version 3.
 * Return: 0;
 *	-EINVAL        empty name, or a format name of more than 15 bytes
 *	-ENAMETOOLONG  name of more than 1,023 bytes
 *	-EFBIG         the disk is too large
 *	else as write(2)
 */
qc_err qc_create_overlay(int fd, uint64_t size, const char *backing, const char *format);

/*
 * qc_preallocate() - allocate the clusters of a range, without space for them
 *
 * Unlike qc_allocate(), leaves holes in the file for clusters that were never written: space is
 * taken when they are.  The range reads as before.
 * Return: as qc_write()
 */
qc_err qc_preallocate(struct qc_image *img, uint64_t off, uint64_t len);

/* The backing file, its format and the data file as an image names them; "" for none. */
struct qc_backing_info {
	char backing[1024];
	char format[16];
	char data_file[1024];
};

/* Reads the header of the image file @fd.  Return: as qc_open() */
qc_err qc_read_backing_info(int fd, struct qc_backing_info *out, struct qc_reason *why);

/* Returns the path of a backing file, also from a json: or file: name, to be freed.  Return: NULL
 * no local file is meant, or out of memory. */
char *qc_backing_path(const char *backing);

#ifdef __cplusplus
}
#endif
#endif
