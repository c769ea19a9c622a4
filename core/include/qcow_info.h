/* SPDX-License-Identifier: MIT */
/*
 * qcow_info.h - the part of qcow.h that describes an image: its header, its features, its
 * LUKS header, its bitmaps, and the programs that use it.
 */
#ifndef QCOW_INFO_H
#define QCOW_INFO_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

enum qc_feature_set { QC_INCOMPATIBLE, QC_COMPATIBLE, QC_AUTOCLEAR };

/* A feature bit that is set. */
struct qc_feature {
	enum qc_feature_set set;
	unsigned int bit;
	bool known;
	char name[47]; /* of a bit that is not known: as the image calls it, or "" */
};

/* By permission, as QEMU counts them: 0 consistent read, 1 write, 2 write
 * unchanged, 3 resize. */
struct qc_locks {
	unsigned int perm, unshared;
};

/* Requests on the images of which the layer is the top.  Whatever changes one is
 * a write; punched holes have no bytes. */
struct qc_io_counters {
	uint64_t reads, read_bytes, writes, written_bytes;
};

/* What an image file is used for in this context. */
struct qc_layer_use {
	bool open, has_writer;
	unsigned int users; /* images that it is part of */
	struct qc_io_counters io; /* since it was opened */
	uint64_t table_loads, table_bytes; /* as in qc_counters */
};

/* Of one file of the chain.  The texts live as long as the image is open; "" is none.
 * Of a file that was refused, all is as it stands there, checked or not. */
struct qc_layer_info {
	const char *path; /* absolute */
	bool raw;	  /* no image: all that has to do with a header is 0 */
	bool refused;	  /* it is why the image cannot be used */
	uint32_t version; /* 1, 2, 3; 0 of a file that is not an image */
	uint64_t size;	  /* of the disk */
	uint64_t file_bytes, allocated_bytes; /* of the file, and what it takes on its disk */
	uint64_t data_allocated_bytes;	      /* of its data file */
	uint32_t cluster_size, refcount_bits;
	bool dirty, corrupt, lazy_refcounts, extended_l2, zstd, has_data_file, data_file_raw;
	bool bitmaps_valid; /* says the header */
	enum { QC_PLAIN, QC_AES, QC_LUKS } encryption;
	const char *backing, *backing_format, *data_file; /* as they are written there */
	const char *data_path; /* absolute */
	uint64_t l1_offset, reftable_offset;
	uint32_t l1_entries, reftable_clusters, snapshots, bitmaps;
	struct qc_feature *feature;
	size_t nfeatures;
	struct qc_locks locks; /* of all programs, and of what is open here */
	struct qc_layer_use use;
};

/* n < qc_depth(img), which was headers_only at.  -ENOMEM. */
qc_err qc_get_layer_info(struct qc_image *img, unsigned int n, struct qc_layer_info *out);
void qc_layer_info_free(struct qc_layer_info *f);

/* What the LUKS header of an encrypted image says, not what is done with it.  A mode
 * such as "cbc-essiv:sha256" is three texts; "" is none. */
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

/* Of a headers_only image.  -ENOENT it has no such header, -EINVAL it is none. */
qc_err qc_get_luks_info(struct qc_image *img, struct qc_luks_info *out);

/* A persistent bitmap.  A NUL is put behind its name, which may hold some, too. */
struct qc_bitmap {
	const char *name;
	size_t name_len;
	bool in_use; /* was not closed, and is not to be relied upon */
	bool is_auto; /* records what is written */
	uint64_t granularity; /* bytes that a bit stands for */
	uint64_t table_offset;
	uint32_t table_entries;
};

struct qc_bitmaps {
	size_t n;
	struct qc_bitmap *at;
	char *text; /* that the names are in */
};

/* Those that a headers_only image's directory has, whether the header says that they are
 * valid or not.  On failure as many as could be parsed: -EINVAL, -EIO a damaged
 * directory, -EFBIG one of more than 1 MiB. */
qc_err qc_list_bitmaps(struct qc_image *img, struct qc_bitmaps *out);
void qc_bitmaps_free(struct qc_bitmaps *b);

#ifdef __cplusplus
}
#endif
#endif
