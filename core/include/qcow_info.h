/* SPDX-License-Identifier: MIT */
/*
 * qcow_info.h - the part of qcow.h that describes an image: its header, its features, its
 * LUKS header, and the programs that use it.
 */
#ifndef QCOW_INFO_H
#define QCOW_INFO_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum qc_feature_set { QC_INCOMPATIBLE, QC_COMPATIBLE, QC_AUTOCLEAR };

/* A feature bit that is set in the header (qcow2 spec, "Feature name table"). */
struct qc_feature {
	enum qc_feature_set set;
	unsigned int bit;
	bool known;
	char name[47]; /* of an unknown bit: from the image's own table, or "" */
};

/* Image locks.  Bit p is a permission of QEMU: 0 consistent read, 1 write, 2 write
 * unchanged, 3 resize. */
struct qc_locks {
	unsigned int perm;     /* permissions that programs use */
	unsigned int unshared; /* permissions that programs do not share */
};

/* Requests of images of which a layer is the top.  Every change counts as a write; write
 * zeroes and discard have no bytes. */
struct qc_io_counters {
	uint64_t reads, read_bytes, writes, written_bytes;
};

/* How this context uses an image file. */
struct qc_layer_use {
	bool open, has_writer;
	unsigned int users;		   /* images of whose chains it is a part */
	struct qc_io_counters io;	   /* since it was opened */
	uint64_t table_loads, table_bytes; /* as in struct qc_counters */
};

enum qc_encryption { QC_PLAIN, QC_AES, QC_LUKS };

/* Returns "none", "aes" or "luks". */
const char *qc_encryption_name(enum qc_encryption encryption);

/* Returns "raw" for version 0, "qcow", "qcow2", or NULL for an unknown version. */
const char *qc_format_name(uint32_t version);

/* The header of one file of a chain.  Texts are "" if missing, and live as long as the
 * image is open.  In a file that cannot be used, fields are as stored, also if invalid. */
struct qc_layer_info {
	const char *path; /* absolute */
	bool raw;	  /* not an image: all fields of a header are 0 */
	bool refused;	  /* it is why the image cannot be opened */
	uint32_t version; /* 1, 2, 3; 0 without a header */
	uint64_t size;	  /* of the disk */
	uint64_t file_bytes, allocated_bytes; /* size of the file, and its space on disk */
	uint64_t data_allocated_bytes;	      /* space of the data file */
	uint32_t cluster_size, refcount_bits;
	bool dirty, corrupt, lazy_refcounts, extended_l2, zstd, has_data_file, data_file_raw;
	bool bitmaps_valid; /* the autoclear bit of bitmaps is set */
	enum qc_encryption encryption;
	const char *backing, *backing_format, *data_file; /* as recorded in the header */
	const char *data_path;				  /* absolute */
	uint64_t l1_offset, reftable_offset;		  /* host offsets */
	uint32_t l1_entries, reftable_clusters, snapshots, bitmaps;
	struct qc_feature *feature;
	size_t nfeatures;
	struct qc_locks locks; /* of all programs, including this one */
	struct qc_layer_use use;
};

/*
 * qc_get_layer_info() - describe one file of the chain
 * @img:  opened with QC_OPEN_HEADERS_ONLY
 * @n:    less than qc_depth(img)
 * @out:  for qc_layer_info_free()
 *
 * Return: 0; -ENOMEM
 */
qc_err qc_get_layer_info(struct qc_image *img, unsigned int n, struct qc_layer_info *out);
void qc_layer_info_free(struct qc_layer_info *info);

/* Describes only how this context uses the file: makes no system call. */
void qc_get_layer_use(const struct qc_image *img, unsigned int n, struct qc_layer_use *out);

/* A LUKS header, unchecked.  A mode such as "cbc-essiv:sha256" is in three fields; "" is a
 * missing part. */
struct qc_luks_info {
	char cipher[33], mode[33], ivgen[33], ivgen_hash[33], hash[33], uuid[41];
	uint32_t key_bytes, iterations;
	uint64_t payload_offset;
	struct qc_luks_slot_info {
		bool active;
		uint32_t iterations, stripes;
		uint64_t key_offset;
	} slot[8];
};

/*
 * qc_get_luks_info() - read the LUKS header of the image
 * @img:  opened with QC_OPEN_HEADERS_ONLY
 *
 * Return: 0; -ENOENT not encrypted with LUKS; -EINVAL no header of version 1;
 *	else as read(2)
 */
qc_err qc_get_luks_info(struct qc_image *img, struct qc_luks_info *out);

#ifdef __cplusplus
}
#endif
#endif
