/* SPDX-License-Identifier: MIT */
/*
 * open_file.h - what is open, and what all callbacks need.
 *
 * A node's number, for the kernel, is its address; a file's handle is its open
 * image, and refers to its node.  So a read goes from the request straight to the core: it finds no
 * name, and takes no lock.
 */
#ifndef OPEN_FILE_H
#define OPEN_FILE_H

#include "ops/server.h"
#include "ops/io_uring.h"

struct open_file {
	struct node *node;
	struct qc_image *img; /* of a file */
	struct shared_buf *text;    /* instead of an image */
	struct byte_range window; /* of the disk that img is */
	atomic_bool *written; /* to be told of writes; NULL */
	bool writable;
	atomic_bool closed; /* one descriptor of it, perhaps the last */
	unsigned int generation; /* of the node, when it was opened */
	struct listing *listing;     /* of a folder */
	struct open_file *next, **prev; /* among the server's */
};

/* Sets the request's handle; its parts are the handle's from now on. */
void open_file_add(struct server *s, struct open_file *h, struct fuse_file_info *fi);
void open_file_close(struct server *s, struct open_file *h);

/* Returns when as many images are closed as were being closed; or after some seconds, if
 * one is stuck. */
void open_files_await_closes(struct server *s);

static inline struct open_file *open_file_of(const struct fuse_file_info *fi)
{
	return (struct open_file *)(uintptr_t)fi->fh;
}

static inline struct server *server_of(fuse_req_t req)
{
	uring_disable_cancel(); /* here, since whatever is to be finished needs the server */
	return fuse_req_userdata(req);
}

static inline struct node *node_of(fuse_req_t req, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? tree_root(server_of(req)->tree) : (struct node *)(uintptr_t)ino;
}

static inline fuse_ino_t ino_of(fuse_req_t req, struct node *n)
{
	return n == tree_root(server_of(req)->tree) ? FUSE_ROOT_ID : (uintptr_t)n;
}

/* The file's size: the disk may have another one by now. */
static inline uint64_t open_file_size(const struct open_file *h)
{
	uint64_t disk = qc_size(h->img);
	uint64_t room = disk > h->window.start ? disk - h->window.start : 0;

	return room < h->window.len ? room : h->window.len;
}

static inline void open_file_mark_written(struct open_file *h)
{
	if (h->written && !atomic_load_explicit(h->written, memory_order_relaxed))
		atomic_store(h->written, true);
}

static inline void op_reply_err(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

/* Fills *e for a node that the caller has a reference of. */
int op_fill_entry(fuse_req_t req, struct node *n, struct fuse_entry_param *e);

/* Where r is 0, replies with a node that the caller has a reference of, which is the
 * kernel's then; else with the error. */
void op_reply_entry(fuse_req_t req, int r, struct node *n);

/* Another size for the disk, through an open file or without one.  -errno. */
int op_set_size(fuse_req_t req, fuse_ino_t ino, off_t size, struct fuse_file_info *fi);

/* op_table.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
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

/* snapshot_ops.c */
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned int flags);

/* file_ops.c */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
	     struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

#endif
