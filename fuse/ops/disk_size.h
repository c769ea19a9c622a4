/* SPDX-License-Identifier: MIT */
/* disk_size.h - changing the size of a disk. */
#ifndef DISK_SIZE_H
#define DISK_SIZE_H

#include "ops/server.h"

/* Resizes the disk of a node, through an open file or (fi is NULL) without one.
 * Return: 0; -EROFS; -EPERM for a partition, which keeps its size; else as qc_resize(). */
int disk_size_set(fuse_req_t req, fuse_ino_t ino, off_t size, struct fuse_file_info *fi);

#endif
