/* SPDX-License-Identifier: MIT */
/*
 * refused_ops.c - callbacks that would make, link or remove a file.
 *
 * Without them the kernel would get ENOSYS, which programs take for a missing feature of
 * the kernel.  EROFS tells them that these names cannot be
 * changed; only those in NAME.snapshots can be (tree/node_ops.h).
 */
#include <errno.h>

#include "ops/ops.h"

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	(void)parent, (void)name, (void)mode, (void)dev;
	reply_err(req, -EROFS);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	reply_err(req, -EROFS);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target, (void)parent, (void)name;
	reply_err(req, -EROFS);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	(void)ino, (void)newparent, (void)newname;
	reply_err(req, -EROFS);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	(void)parent, (void)name, (void)mode, (void)fi;
	reply_err(req, -EROFS);
}
