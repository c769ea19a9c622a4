/* SPDX-License-Identifier: MIT */
/*
 * header.h - bytes of an image file -> what its header says.
 *
 * Every number is checked here, against the limits of the format and against
 * the size of the file, and nobody checks it again.
 */
#ifndef QC_HEADER_H
#define QC_HEADER_H

#include "format/geometry.h"
#include "io/file.h"

struct qc_header {
	uint32_t version; /* 1, 2, 3 */
	uint64_t size;	  /* of the disk: 2 and 3 in whole sectors, as in QEMU */
	struct geom geom;
	enum qc_crypt crypt;
	enum qc_compression compression;
	uint64_t incompatible, compatible, autoclear;
	uint64_t reftable_offset;
	uint32_t reftable_clusters;
	uint32_t refcount_order;
	uint32_t snapshots;
	uint64_t snapshots_offset;
	uint64_t backing_offset; /* 0: no backing file */
	uint32_t backing_len;
	char backing[NAME_MAX_LEN + 1]; /* "": no backing file */
	char backing_format[FORMAT_NAME_MAX + 1]; /* "": not declared */
	char data_file[NAME_MAX_LEN + 1];
	uint64_t luks_offset, luks_bytes; /* of the LUKS header; 0: there is none */
	uint32_t bitmaps;	 /* how many, or 0 */
	uint64_t bitmaps_bytes, bitmaps_offset; /* of their directory */
	uint64_t names_offset; /* of the table of feature names in the file */
	uint32_t names_bytes;  /* 0: none */
	char unknown[200]; /* names of incompatible features that we do not know */
};

/* Reads and checks the header of an image file.  -EMEDIUMTYPE if it is not a
 * QCOW image, -ENOTSUP unknown version or feature, -EINVAL impossible. */
qc_err qc_header_read(struct qc_file *f, struct qc_header *h, struct qc_reason *why);

/* The parts of it that need no file, for tests and fuzzers.  `buf` holds the
 * first n bytes of the image.  *need is set to how many bytes the extensions
 * reach, if that is more than n: call again with as many. */
qc_err qc_header_parse(const uint8_t *buf, size_t n, struct qc_header *h, size_t *need,
		       struct qc_reason *why);

#endif
