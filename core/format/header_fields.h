/* SPDX-License-Identifier: MIT */
/* header_fields.h - the header of an image, decoded and checked. */
#ifndef QC_HEADER_FIELDS_H
#define QC_HEADER_FIELDS_H

#include "format/geometry.h"

/* Offsets are host offsets, sizes are in bytes. */
struct qc_header {
	uint32_t version; /* 1, 2, 3 */
	uint64_t size;	  /* of the disk; versions 2 and 3: rounded down to sectors, as QEMU */
	struct geom geom;
	enum qc_crypt crypt;
	enum qc_compression compression;
	uint64_t incompatible, compatible, autoclear; /* feature bits; 0 before version 3 */
	uint64_t reftable_offset;
	uint32_t reftable_clusters;
	uint32_t refcount_order; /* log2 of the bits of a refcount */
	uint32_t snapshots;
	uint64_t snapshots_offset;
	uint64_t backing_offset; /* of the backing file name; 0: no backing file */
	uint32_t backing_len;
	char backing[NAME_MAX_LEN + 1];		  /* "": no backing file */
	char backing_format[FORMAT_NAME_MAX + 1]; /* "": not declared */
	char data_file[NAME_MAX_LEN + 1];
	bool has_luks_extension;
	uint64_t luks_offset, luks_bytes; /* of the LUKS header with its key material */
	uint32_t bitmaps;
	uint32_t bitmaps_reserved; /* a field of the extension that must be 0 */
	uint64_t bitmaps_extension; /* offset of its magic in the file; 0: there is none */
	uint64_t bitmaps_bytes, bitmaps_offset; /* of the bitmap directory */
	uint64_t unused_extension; /* offset of one that is skipped, and as long as that of
				    * bitmaps; 0: there is none */
	uint64_t extensions_end; /* offset behind the last extension */
	uint64_t feature_names_offset;		/* of the image's feature name table */
	uint32_t feature_names_bytes;		/* 0: no table */
	char unknown_features[200]; /* names of unknown incompatible features, from that table */
};

#endif
