/* SPDX-License-Identifier: MIT */
/*
 * new_image.h - lay out and write an empty image of any version.
 *
 * Versions 2 and 3, as QEMU lays them out (qcow2 spec, "General"):
 *
 *	cluster 0  header, extensions, name of the backing file
 *	        1  refcount table
 *	        -  refcount blocks
 *	        -  L1 table
 *	        -  room for the LUKS header
 *
 * Version 1 has the name of the backing file behind the header, then the L1 table.
 * No cluster of the disk is allocated.  The header is written last: until then the file
 * is no image.
 */
#ifndef QC_NEW_IMAGE_H
#define QC_NEW_IMAGE_H

#include "format/header.h"

/* An image that does not exist yet.  All strings may be NULL. */
struct qc_new_image {
	uint32_t version; /* 1, 2, 3 */
	uint64_t size;	  /* of the disk, in bytes; rounded up to whole sectors */
	unsigned int cluster_bits; /* 0: QEMU's default, or more for a disk that needs it */
	unsigned int refcount_order; /* versions 2 and 3; version 2 has 4 only */
	enum qc_crypt crypt;
	enum qc_compression compression; /* version 3 */
	bool extended_l2, lazy_refcounts; /* version 3 */
	bool data_file_raw;
	const char *data_file;
	const char *backing;	    /* name of the backing file, as it is recorded */
	const char *backing_format; /* "raw", "qcow", "qcow2"; version 1 cannot record it */
	const uint8_t *luks;	    /* LUKS header with its key material, with CRYPT_LUKS */
	uint64_t luks_bytes;
};

/* Where the parts of a new image are. */
struct qc_new_layout {
	struct geom geom;
	uint64_t size;
	uint64_t reftable_clusters, blocks, l1_clusters;
	uint64_t luks_offset; /* 0: there is no LUKS header */
	uint64_t clusters;    /* of the file, all with refcount 1 */
};

/*
 * qc_new_image_lay_out() - check the options and find room for all parts
 *
 * Return:
 *   0
 *   -EINVAL        an option that the version does not have, or an impossible value
 *   -EFBIG         the disk is too large for this cluster size
 *   -ENAMETOOLONG  a name of more than 1,023 bytes, or too long for the header's cluster
 */
qc_err qc_new_image_lay_out(const struct qc_new_image *n, struct qc_new_layout *out,
			    struct qc_reason *why);

/*
 * qc_new_image_write() - empty the file and make it that image
 *
 * Return: as qc_new_image_lay_out(), -ENOMEM, or an error of the file.
 */
qc_err qc_new_image_write(struct qc_file *f, const struct qc_new_image *n,
			  struct qc_new_layout *out, struct qc_reason *why);

#endif
