/* SPDX-License-Identifier: MIT */
/*
 * qcow_map.h - the part of qcow.h that tells where the bytes of a disk are.
 */
#ifndef QCOW_MAP_H
#define QCOW_MAP_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A range of the disk that is stored in one way.  The fields say what those of
 * `qemu-img map --output=json` say. */
struct qc_mapping {
	uint64_t start, len;
	unsigned int depth; /* the layer that decides what is read; 0: the image itself */
	bool present;	 /* this layer maps the range; else it is beyond all that is allocated */
	bool zero;	 /* reads as zeros */
	bool data;	 /* stored; with `zero` a hole of the file is below allocated clusters */
	bool compressed;
	bool has_offset; /* stored as it is read, neither compressed nor encrypted */
	uint64_t offset;  /* host offset of the first byte; also of clusters that read as zeros */
	const char *file; /* absolute path of the file with the offset; valid while the image is open */
};

/*
 * qc_get_mapping() - find out where the bytes from an offset of the disk on are
 * @off:  inside the disk
 * @out:  a range that begins at @off; the next one may be of the same kind
 *
 * Looks for holes of the file below allocated clusters if the file has less space on its file
 * system than clusters with a refcount, as with preallocated metadata.  So does QEMU.
 * Return: as qc_read()
 */
qc_err qc_get_mapping(struct qc_image *img, uint64_t off, struct qc_mapping *out);

/* Returns a number that differs after each change of where the disk has data, and where holes.  0:
 * that can change unnoticed, as in a raw backing file.  A caller that keeps a run of
 * qc_block_status() reads the number before the run.  The size is no part of this. */
uint64_t qc_layout_version(const struct qc_image *img);

/*
 * qc_check_walk_ends() - refuse an image whose tables take forever to read
 *
 * For callers that go over all of a disk.  A hostile L1 table can name one L2 table millions of
 * times.  Each request of such an image is as short as any, but the disk has no end in sight.
 * Return: 0; -EIO an L1 table of the chain names more L2 tables than there are; -ENOMEM
 */
qc_err qc_check_walk_ends(struct qc_image *img, struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
