/* SPDX-License-Identifier: MIT */
/*
 * limited_ops.h - the callbacks that can wait for an image file, under the request limit.
 *
 * limited_X() does the same as op_X() of ops.h.  If the image has too many requests in
 * progress, the call is copied to the queue of the image, and another thread makes it.
 */
#ifndef LIMITED_OPS_H
#define LIMITED_OPS_H

#include "ops/server.h"

void limited_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void limited_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void limited_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		  struct fuse_file_info *fi);
void limited_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
		   struct fuse_file_info *fi);
void limited_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		       struct fuse_file_info *fi);
void limited_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		   struct fuse_file_info *fi);
void limited_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void limited_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void limited_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void limited_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		     struct fuse_file_info *fi);
void limited_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t room);
void limited_listxattr(fuse_req_t req, fuse_ino_t ino, size_t room);
void limited_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void limited_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void limited_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi);

#endif
