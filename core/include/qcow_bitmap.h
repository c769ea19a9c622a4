/* SPDX-License-Identifier: MIT */
/*
 * qcow_bitmap.h - the part of qcow.h about persistent dirty bitmaps (qcow2 spec, "Bitmaps").
 *
 * A bitmap has a bit for each granule of the disk, of 512 bytes to 2 GiB.  While an image is
 * written, the bits of all enabled bitmaps are set, unless qc_config.drop_bitmaps.  When it is
 * closed they are stored.  A bitmap that was not stored is inconsistent: it cannot be read, and
 * records nothing.
 *
 * Names are 1 to 1023 bytes of any value.
 */
#ifndef QCOW_BITMAP_H
#define QCOW_BITMAP_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

struct qc_bitmap {
	const char *name; /* may hold NULs; one more follows it */
	size_t name_len;
	bool in_use;	      /* inconsistent: was not closed */
	bool is_auto;	      /* enabled: records writes */
	uint64_t granularity; /* bytes for each bit */
	uint64_t table_offset; /* host offset */
	uint32_t table_entries;
	uint32_t extra_len;    /* bytes before the name, of a feature that is not known */
	bool extra_compatible; /* which need not be understood to use the bitmap */
	bool counted;	       /* dirty_bytes is known; by qc_count_dirty_bytes() */
	uint64_t dirty_bytes;
};

struct qc_bitmaps {
	size_t n;
	struct qc_bitmap *at;
	char *text; /* memory of the names */
};

/*
 * qc_list_bitmaps() - list the bitmaps, also if they are not valid
 * @img:  open, or opened with QC_OPEN_HEADERS_ONLY: then as they are in the file
 * @out:  for qc_bitmaps_free(); on failure with the entries before the bad one
 *
 * Return: 0; -EINVAL, -EIO damaged directory; -EFBIG more than 1 MiB; -ENOMEM
 */
qc_err qc_list_bitmaps(struct qc_image *img, struct qc_bitmaps *out);
void qc_bitmaps_free(struct qc_bitmaps *b);

/* Counts the dirty bytes of each listed bitmap whose bits are known.  Reads all of their bits.
 * Return: 0; -ENOMEM; as read(2) */
qc_err qc_count_dirty_bytes(struct qc_image *img, struct qc_bitmaps *list);

/*
 * qc_bitmap_open() - open a bitmap as an image
 * @out:  its data is the dirty granules, with the bytes of the disk; all else is holes.  To be
 *	  read and closed, also after @img is closed; follows later writes.
 *
 * Until it is closed the bitmap cannot be removed or renamed.
 * Return: 0;
 *	-ENOENT  there is no such bitmap
 *	-EIO     it is inconsistent or damaged
 *	-ENOMEM
 */
qc_err qc_bitmap_open(struct qc_image *img, const char *name, size_t len, struct qc_image **out,
		      struct qc_reason *why);

/*
 * qc_bitmap_add() - add a bitmap, which records writes from then on if it is @enabled
 * qc_bitmap_remove() - remove one, also an inconsistent one
 * qc_bitmap_rename() - change its name
 * qc_bitmap_enable() - let it record writes, or not
 * qc_bitmap_clear() - clear all of its bits
 * @granularity:  bytes, a power of two from 512 to 2 GiB; 0: the cluster size, but 4 KiB at
 *		  least and 64 KiB at most, as QEMU has it
 *
 * Each change is atomic with regard to requests, and durable when the call returns: of a bitmap
 * that records writes, but for its bits.
 * Return: 0;
 *	-EOPNOTSUPP    not version 3 of the format, or qc_config.drop_bitmaps
 *	-EINVAL        the granularity, or an empty name
 *	-ENAMETOOLONG  more than 1023 bytes
 *	-EEXIST        another bitmap has the name
 *	-ENOENT        there is no such bitmap
 *	-EBUSY         the bitmap is open
 *	-EIO           qc_bitmap_enable(), qc_bitmap_clear(): it is inconsistent
 *	-EFBIG         its bits are too many: for QEMU, or for qc_config.cache_bytes
 *	-ENOSPC        as qc_write(); or the header or the directory has no room for it
 *	else as qc_write()
 */
qc_err qc_bitmap_add(struct qc_image *img, const char *name, size_t len, uint64_t granularity,
		     bool enabled);
qc_err qc_bitmap_remove(struct qc_image *img, const char *name, size_t len);
qc_err qc_bitmap_rename(struct qc_image *img, const char *name, size_t len, const char *to,
			size_t to_len);
qc_err qc_bitmap_enable(struct qc_image *img, const char *name, size_t len, bool enabled);
qc_err qc_bitmap_clear(struct qc_image *img, const char *name, size_t len);

/*
 * qc_bitmap_merge() - set the bits of all granules that are dirty in another bitmap
 * @from:  of qc_bitmap_open(), of the same image or another one
 *
 * Return: as qc_bitmap_clear(); -EINVAL the disk of @from has another size
 */
qc_err qc_bitmap_merge(struct qc_image *img, const char *name, size_t len, struct qc_image *from);

#ifdef __cplusplus
}
#endif
#endif
