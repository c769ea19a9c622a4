/* SPDX-License-Identifier: MIT */
/*
 * snapshot_ops.c - callbacks that make, remove and rename folders and, with -o create, images.
 *
 * A snapshot is a folder of NAME.snapshots.
 */
#include <errno.h>
#include <linux/fs.h> /* RENAME_NOREPLACE; <stdio.h> has it in some C libraries */
#include <stdio.h>

#include "ops/entry_reply.h"
#include "ops/ops.h"

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	const struct tree_maker by = op_maker(req, mode);
	struct node *n = NULL;
	int r = tree_mkdir(server_of(req)->tree, node_of(req, parent), name, &by, &n);

	entry_reply_send(req, r, n);
}

/* Removes the files in the folder, too: they cannot be removed one by one. */
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_err(req, tree_rmdir(server_of(req)->tree, node_of(req, parent), name));
}

/* Refuses to move a snapshot with EPERM instead of EXDEV: after EXDEV mv(1) would copy. */
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned int flags)
{
	int r = -EINVAL;

	op_await_closed(req, newparent, newname);
	if (server_of(req)->ro)
		r = -EROFS;
	else if (!(flags & ~(unsigned int)RENAME_NOREPLACE))
		r = tree_rename(server_of(req)->tree, node_of(req, parent), name,
				node_of(req, newparent), newname);
	reply_err(req, r);
}
