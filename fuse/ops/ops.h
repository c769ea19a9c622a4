/* SPDX-License-Identifier: MIT */
/*
 * ops.h - the callbacks, grouped by the file that defines them.
 *
 * Each has the parameters that libfuse's fuse_lowlevel_ops documents, and replies to its
 * request exactly once.
 */
#ifndef OPS_H
#define OPS_H

#include "ops/server.h"

/* session_ops.c */
void op_init(void *arg, struct fuse_conn_info *conn);
void op_statfs(fuse_req_t req, fuse_ino_t ino);

/* attr_ops.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		struct fuse_file_info *fi);

/* dir_ops.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* snapshot_ops.c: changes of names, of images, snapshots and bitmaps */
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned int flags);

/* make_ops.c */
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* Waits until an image that was closed by all its users is closed here, too, if the mount may
 * remove it. */
void op_await_closed(fuse_req_t req, fuse_ino_t parent, const char *name);

/* Returns the user of the request, and the mode for a new file. */
struct tree_maker op_maker(fuse_req_t req, mode_t mode);

/* xattr_ops.c */
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t room);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t room);

/* Returns true if op_getxattr() reads no file to answer. */
bool op_getxattr_is_quick(fuse_req_t req, const char *name);

/* file_ops.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* Sends the reply to a request that has opened a file, or failed to.  With O_TRUNC other files may
 * have to drop their pages before. */
void op_send_open(fuse_req_t req, const struct node *n, const struct delayed_reply *reply);

/* read_ops.c */
void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
	     struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi);

/* write_ops.c */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi);

#endif
