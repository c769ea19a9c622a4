/* SPDX-License-Identifier: MIT */
/*
 * make_ops.c - callbacks that make files and remove them (-o create).
 *
 * Without -o create they fail with EROFS.  Without callbacks the kernel would get ENOSYS, which
 * programs take for a missing feature of the kernel.
 */
#include <errno.h>
#include <fcntl.h>

#include "ops/entry_reply.h"
#include "ops/open_file.h"
#include "ops/ops.h"

struct tree_maker op_maker(fuse_req_t req, mode_t mode)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct tree_maker){ ctx->uid, ctx->gid, mode & 0777 };
}

/* Makes an image.  If another thread was first, takes its image, unless O_EXCL forbids that.
 * *made: the image is new. */
static int make_or_find(fuse_req_t req, struct node *dir, const char *name, mode_t mode,
			const struct fuse_file_info *fi, struct node **out, bool *made)
{
	const struct tree_maker by = op_maker(req, mode);
	struct server *s = server_of(req);
	int r = s->ro ? -EROFS : tree_create(s->tree, dir, name, &by, out);

	*made = !r;
	if (r == -EEXIST && !(fi->flags & O_EXCL))
		r = tree_lookup(s->tree, dir, name, out);
	return r;
}

/* Removes the permissions that the image had only until it was opened: open(2) lets the maker of a
 * file write to it, also with a mode that forbids it. */
static int set_mode_asked_for(fuse_req_t req, struct node *n, mode_t mode)
{
	const struct tree_maker to = { (uid_t)-1, (gid_t)-1, mode & 0777 };

	return (mode & 0600) == 0600 ? 0 : tree_set_owner(server_of(req)->tree, n, &to);
}

static void send_create_reply(const struct delayed_reply *r)
{
	if (r->error)
		reply_err(r->req, r->error);
	else
		fuse_reply_create(r->req, &r->entry, &r->fi);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	       struct fuse_file_info *fi)
{
	struct delayed_reply reply = { .send = send_create_reply, .req = req };
	struct server *s = server_of(req);
	struct node *n = NULL;
	bool made, opened;
	int r = make_or_find(req, node_of(req, parent), name, mode, fi, &n, &made);

	if (!r && made)
		fi->flags &= ~O_TRUNC;
	if (!r)
		r = op_open_node(req, n, fi);
	opened = n && !r;
	if (opened && made)
		r = set_mode_asked_for(req, n, mode);
	if (!r)
		r = entry_reply_fill(req, n, &reply.entry);
	if (r && opened)
		open_file_close(s, open_file_of(fi));
	reply.error = r;
	reply.fi = *fi;
	if (n)
		op_send_open(req, n, &reply);
	else
		reply.send(&reply);
	if (r && n)
		node_forget(s->tree, n, 1);
}

/* Makes an image without opening it, as NFS does. */
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	const struct tree_maker by = op_maker(req, mode);
	struct server *s = server_of(req);
	struct node *n = NULL;
	int r = -EPERM;

	(void)dev;
	if (s->ro)
		r = -EROFS;
	else if (S_ISREG(mode))
		r = tree_create(s->tree, node_of(req, parent), name, &by, &n);
	else if (!tree_creates(s->tree))
		r = -EROFS;
	if (!r)
		r = set_mode_asked_for(req, n, mode);
	entry_reply_send(req, r, n);
}

enum { LONG_MS = 2000 }; /* an image that is closed has its last changes written */

void op_await_closed(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct server *s = server_of(req);

	if (tree_creates(s->tree))
		open_files_await_release(s, tree_origin_of_name(s->tree, node_of(req, parent), name),
					 LONG_MS);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	op_await_closed(req, parent, name);
	reply_err(req, tree_unlink(server_of(req)->tree, node_of(req, parent), name));
}

/* Makes an overlay.  The reply must be of a symbolic link.  It is valid for no time, so the kernel
 * looks up the name again, and finds the overlay. */
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	const struct tree_maker by = op_maker(req, 0);
	struct server *s = server_of(req);
	struct fuse_entry_param e = { 0 };
	struct node *n = NULL, *base = NULL;
	int r;

	if (!tree_find_target(s->tree, node_of(req, parent), target, &base))
		open_files_await_release(s, node_origin(base), LONG_MS);
	r = tree_symlink(s->tree, node_of(req, parent), name, target, base, &by, &n);
	node_forget(s->tree, base, 1);
	if (!r)
		r = tree_stat(s->tree, n, &e.attr);
	if (r && n)
		node_forget(s->tree, n, 1);
	e.ino = r ? 0 : ino_of(req, n);
	if (r)
		reply_err(req, r);
	else
		fuse_reply_entry(req, &e);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	(void)ino, (void)newparent, (void)newname;
	reply_err(req, tree_creates(server_of(req)->tree) ? -EPERM : -EROFS);
}

/* Brings the names in the folder to stable storage. */
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync, (void)fi;
	reply_err(req, tree_sync_dir(server_of(req)->tree, node_of(req, ino)));
}
