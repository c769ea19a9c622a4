/* SPDX-License-Identifier: MIT */
/* attr_ops.c - callbacks that look up nodes, and that read or change their attributes. */
#include <errno.h>

#include "ops/disk_size.h"
#include "ops/entry_reply.h"
#include "ops/open_file.h"
#include "ops/ops.h"

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *n = NULL;
	int r = tree_lookup(server_of(req)->tree, node_of(req, parent), name, &n);

	entry_reply_send(req, r, n);
}

static void forget_node(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	if (ino != FUSE_ROOT_ID)
		tree_forget(server_of(req)->tree, node_of(req, ino), n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget_node(req, ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *f)
{
	for (size_t i = 0; i < count; i++)
		forget_node(req, f[i].ino, f[i].nlookup);
	fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct node *n = node_of(req, ino);
	struct stat st;
	int r = tree_stat(server_of(req)->tree, n, &st);

	(void)fi;
	if (r)
		reply_err(req, r);
	else
		fuse_reply_attr(req, &st, entry_reply_attr_timeout(server_of(req), n));
}

/* Setting times succeeds and has no effect. */
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		struct fuse_file_info *fi)
{
	const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME |
			  FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;
	int r = 0;

	if (which & ~(times | FUSE_SET_ATTR_SIZE))
		r = server_of(req)->ro ? -EROFS : -EPERM;
	else if (which & FUSE_SET_ATTR_SIZE)
		r = disk_size_set(req, ino, st->st_size, fi);
	if (r)
		reply_err(req, r);
	else
		op_getattr(req, ino, fi);
}
