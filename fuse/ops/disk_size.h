/* SPDX-License-Identifier: MIT */
/*
 * disk_size.h - truncating a disk or a partition.
 *
 * A raw file is a disk, so truncating it to 0 means what a copying program wants: the disk is
 * emptied, reads as zeros, and keeps its size.  Such a program then writes only the data of a
 * sparse source, and truncates the file to the size of this source.  That second call must
 * not shrink the disk.  An open file that has cut the disk may grow it again: dd(1) truncates
 * at the offset where it begins to write.
 */
#ifndef DISK_SIZE_H
#define DISK_SIZE_H

#include "ops/open_file.h"

/* Makes the disk or partition of the file read as zeros.  Its size stays.
 * Return: 0, or as qc_clear(); then a part of it may read as zeros. */
int disk_size_empty(struct open_file *f);

/* Truncates through an open file.  A disk that grows gets that size.  Any other:
 *   to 0: empties the disk or partition;
 *   to the size that it has, or to less if it was emptied through this file: does nothing;
 *   to any other size: resizes the disk.
 * Return: 0; -EPERM for a partition, which cannot be resized; else as qc_resize() or
 * qc_clear(). */
int disk_size_set(struct open_file *f, uint64_t size);

/* Does the same without an open file.  Return: as tree_open() or disk_size_set(); -EROFS for a
 * text. */
int disk_size_set_node(struct tree *t, struct node *n, uint64_t size);

/* Grows the disk to the size that it had before it was cut through this file.  Does nothing
 * if the disk reaches to `end`, or was not cut.  Return: as qc_resize(). */
int disk_size_regrow(struct open_file *f, uint64_t end);

#endif
