/* SPDX-License-Identifier: MIT */
/*
 * refused_ops.c - callbacks that would link or remove a file.
 *
 * Without them the kernel would get ENOSYS, which programs take for a missing feature of
 * the kernel.  EROFS tells them that these names cannot be
 * changed; only those in NAME.snapshots can be (tree/node_ops.h).
 */
#include <errno.h>

#include "ops/ops.h"

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
	reply_err(req, tree_creates(server_of(req)->tree) ? -EPERM : -EROFS);
}
