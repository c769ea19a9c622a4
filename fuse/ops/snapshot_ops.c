/* SPDX-License-Identifier: MIT */
/*
 * snapshot_ops.c - callbacks that take, delete and rename snapshots.
 *
 * A snapshot is a folder of NAME.snapshots.  In all other folders these callbacks fail.
 */
#include <errno.h>
#include <linux/fs.h> /* RENAME_NOREPLACE; <stdio.h> has it in some C libraries */
#include <stdio.h>

#include "ops/entry_reply.h"
#include "ops/ops.h"

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct node *n = NULL;
	int r = snapshot_dir_create(server_of(req)->tree, node_of(req, parent), name, &n);

	(void)mode;
	entry_reply_send(req, r, n);
}

/* Removes the files in the folder, too: they cannot be removed one by one. */
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_err(req, snapshot_dir_remove(server_of(req)->tree, node_of(req, parent), name));
}

/* Refuses to move a snapshot with EPERM instead of EXDEV: after EXDEV mv(1) would copy. */
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
	       const char *newname, unsigned int flags)
{
	struct node *folder = node_of(req, parent);
	int r;

	if (server_of(req)->ro || !(node_has_snapshots(folder) ||
				    node_has_snapshots(node_of(req, newparent))))
		r = -EROFS;
	else if (newparent != parent)
		r = -EPERM;
	else if (flags & ~(unsigned int)RENAME_NOREPLACE)
		r = -EINVAL;
	else
		r = snapshot_dir_rename(server_of(req)->tree, folder, name, newname);
	reply_err(req, r);
}
