/* SPDX-License-Identifier: MIT */
/*
 * op_table.c - the callbacks of libfuse's low-level interface: names, attributes,
 * and what is refused.
 *
 * Files come and go with those of SOURCE; only snapshots are made or named here
 * (snapshot_ops.c).
 */
#include "ops/server.h"

#include <errno.h>
#include <stdlib.h>

#include "ops/open_file.h"
#include "ops/io_uring.h"
#include "ops/limited_ops.h"

/* Names and attributes are asked for again after this, in seconds. */
static const double TIMEOUT = 1.0;

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	const struct server *s = arg;

	/* One read into a buffer and one reply beats splicing. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE);
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				       FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ |
				       FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_read = conn->max_write = conn->max_readahead = MAX_IO;
	/* Reads ahead of a file that is stuck are among them, and those of others wait then. */
	conn->max_background = 256;
	conn->congestion_threshold = 192;
	/* Times come from the image files, in their precision. */
	conn->time_gran = 1;
	rings_choose(conn, s->rings);
}

/* ---- names and attributes ------------------------------------------------- */

/* A text's size is that of the moment. */
static double attr_timeout(const struct node *n)
{
	return node_is_text(n) ? 0 : TIMEOUT;
}

int op_fill_entry(fuse_req_t req, struct node *n, struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = ino_of(req, n),
		.attr_timeout = attr_timeout(n),
		.entry_timeout = TIMEOUT,
	};
	return tree_stat(server_of(req)->tree, n, &e->attr);
}

void op_reply_entry(fuse_req_t req, int r, struct node *n)
{
	struct fuse_entry_param e;

	if (!r) {
		r = op_fill_entry(req, n, &e);
		if (r)
			tree_forget(server_of(req)->tree, n, 1);
	}
	if (r)
		op_reply_err(req, r);
	else
		fuse_reply_entry(req, &e);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *n = NULL;
	int r = tree_lookup(server_of(req)->tree, node_of(req, parent), name, &n);

	op_reply_entry(req, r, n);
}

static void forget_one(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	if (ino != FUSE_ROOT_ID)
		tree_forget(server_of(req)->tree, node_of(req, ino), n);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget_one(req, ino, n);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		forget_one(req, f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *n = node_of(req, ino);
	struct stat st;
	int r = tree_stat(server_of(req)->tree, n, &st);

	(void)fi;
	if (r)
		op_reply_err(req, r);
	else
		fuse_reply_attr(req, &st, attr_timeout(n));
}

/* Times may be set, to no effect. */
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		struct fuse_file_info *fi)
{
	const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME |
			  FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;
	int r = 0;

	if (which & ~(times | FUSE_SET_ATTR_SIZE))
		r = server_of(req)->ro ? -EROFS : -EPERM;
	else if (which & FUSE_SET_ATTR_SIZE)
		r = op_set_size(req, ino, st->st_size, fi);
	if (r)
		op_reply_err(req, r);
	else
		op_getattr(req, ino, fi);
}

/* Who detaches a loop device closes our file without a flush, and the kernel waits for no
 * release; but umount(8) asks this before it unmounts, and then all is in the image. */
static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int r;

	(void)ino;
	open_files_await_closes(server_of(req));
	r = tree_statfs(server_of(req)->tree, &st);
	if (r)
		op_reply_err(req, r);
	else
		fuse_reply_statfs(req, &st);
}

/* ---- what would change something ------------------------------------------ */

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		     dev_t dev)
{
	(void)parent, (void)name, (void)mode, (void)dev;
	op_reply_err(req, -EROFS);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	op_reply_err(req, -EROFS);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	(void)target, (void)parent, (void)name;
	op_reply_err(req, -EROFS);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent,
		    const char *newname)
{
	(void)ino, (void)newparent, (void)newname;
	op_reply_err(req, -EROFS);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	(void)parent, (void)name, (void)mode, (void)fi;
	op_reply_err(req, -EROFS);
}

const struct fuse_lowlevel_ops server_ops = {
	.init = op_init,
	.lookup = limited_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = limited_getattr,
	.setattr = limited_setattr,
	.statfs = op_statfs,
	.opendir = limited_opendir,
	.readdir = op_readdir,
	.readdirplus = limited_readdirplus,
	.releasedir = op_releasedir,
	.open = limited_open,
	.release = limited_release,
	.read = limited_read,
	.write = limited_write,
	.fallocate = limited_fallocate,
	.lseek = limited_lseek,
	.fsync = limited_fsync,
	.flush = limited_flush,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
};
