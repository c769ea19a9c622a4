/* SPDX-License-Identifier: MIT */
/*
 * bitmap_directory.h - the bitmap directory of an image: names and tables of its
 * persistent dirty bitmaps (qcow2 spec, "Bitmaps").
 *
 * Called by image/info.c for listings, by the walk over metadata, and by bitmap/.  The bits
 * themselves are not read.
 */
#ifndef QC_BITMAP_DIRECTORY_H
#define QC_BITMAP_DIRECTORY_H

#include "format/header.h"

enum {
	QC_BITMAPS_MAX = 65535,
	QC_BITMAP_DIRECTORY_MAX = 1 << 20, /* bytes; ours, the format allows 64 MiB */
};

/* Bytes.  QEMU uses no bitmap beyond these limits; the format allows others. */
#define QC_GRANULARITY_MIN UINT64_C(512)
#define QC_GRANULARITY_MAX (2048 * MIB)

/* An entry of a bitmap table without an offset: all bits of the cluster are 1, instead of 0. */
#define QC_BITMAP_ONES UINT64_C(1)

/* Returns true if an entry of a bitmap table is 0, QC_BITMAP_ONES, or the host offset of a
 * cluster. */
bool qc_bitmaps_is_table_entry_valid(const struct geom *g, uint64_t entry);

/* Returns the bytes of an entry of the directory, a multiple of 8. */
uint64_t qc_bitmaps_entry_bytes(const struct qc_bitmap *b);

/* Encodes an entry of the directory.  @b->extra_len bytes of extra data are in memory right
 * before the name. */
void qc_bitmaps_put_entry(uint8_t *to, const struct qc_bitmap *b);

/*
 * qc_bitmaps_parse() - decode a bitmap directory
 * @dir, @bytes:  the whole directory
 * @cluster:      cluster size of the image
 * @n:            entries that the header announces
 * @out:          the entries; their names point into @dir and have no NUL
 * @got:          out: valid entries of @out, also on failure
 *
 * Return: 0; -EINVAL an entry is impossible, or the entries are not @bytes long
 */
qc_err qc_bitmaps_parse(const uint8_t *dir, uint64_t bytes, uint64_t cluster, uint32_t n,
			struct qc_bitmap *out, uint32_t *got);

/*
 * qc_bitmaps_read() - read and decode the directory that the header points to
 * @out:  to be freed by qc_bitmaps_free(), also on failure: then with the entries
 *	  before the bad one
 *
 * Return: 0, also without a directory;
 *	-EINVAL  an entry, or a field of the header about the directory, is impossible
 *	-EIO     the file ends inside the directory
 *	-EFBIG   the directory is longer than 1 MiB
 *	-ENOMEM
 */
qc_err qc_bitmaps_read(struct qc_file *f, const struct qc_header *h, struct qc_bitmaps *out);

#endif
