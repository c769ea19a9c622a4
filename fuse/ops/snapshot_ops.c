/* SPDX-License-Identifier: MIT */
/*
 * snapshot_ops.c - what can be made, removed and renamed: the folders of snapshots.
 */
#include <errno.h>
#include <linux/fs.h> /* RENAME_NOREPLACE; <stdio.h> has it in some C libraries */
#include <stdio.h>

#include "ops/open_file.h"

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct node *n = NULL;
	int r = snapshot_dir_create(server_of(req)->tree, node_of(req, parent), name, &n);

	(void)mode;
	op_reply_entry(req, r, n);
}

/* With the files in it, which cannot be removed by themselves. */
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	op_reply_err(req, snapshot_dir_remove(server_of(req)->tree, node_of(req, parent), name));
}

/* Elsewhere would be to copy it, and mv(1) is not to try. */
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
	op_reply_err(req, r);
}
