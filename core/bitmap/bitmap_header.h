/* SPDX-License-Identifier: MIT */
/*
 * bitmap_header.h - the header extension that locates the bitmap directory, and its autoclear bit.
 *
 * Each function writes and syncs the header of the file and struct qc_header.  A crash leaves
 * the old state, the new state, or bitmaps that the header declares not valid.
 * Context: drained, or before the first change with table_lock held.
 * Return: 0; an errno of the file.
 */
#ifndef QC_BITMAP_HEADER_H
#define QC_BITMAP_HEADER_H

#include "update/writer.h"

/* Sets or clears the autoclear bit that declares the bitmaps valid. */
qc_err qc_bitmap_header_declare(struct qc_writer *w, bool valid);

/*
 * qc_bitmap_header_switch() - make the header locate another directory
 * @n:       number of bitmaps, not 0
 * @bytes:   of the directory
 * @offset:  host offset
 *
 * Adds the extension if the header has none, and declares the bitmaps valid.
 * Return: also -ENOSPC, there is no room for an extension in the first cluster.
 */
qc_err qc_bitmap_header_switch(struct qc_writer *w, uint32_t n, uint64_t bytes, uint64_t offset);

/* Takes the extension out of the header, and clears the autoclear bit. */
qc_err qc_bitmap_header_remove(struct qc_writer *w);

#endif
