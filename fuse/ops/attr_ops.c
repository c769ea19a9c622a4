/* SPDX-License-Identifier: MIT */
/* attr_ops.c - callbacks that look up nodes, and that read or change their attributes. */
#include <errno.h>
#include <string.h>

#include "ops/disk_size.h"
#include "ops/entry_reply.h"
#include "ops/open_file.h"
#include "ops/ops.h"

/* Finds the node of a file handle, for ".", or its parent, for "..".  The kernel asks so for a
 * number that it has no inode of. */
static int find_by_handle(fuse_req_t req, fuse_ino_t ino, const char *name, struct node **out)
{
	struct tree *t = server_of(req)->tree;
	struct node *n, *parent;
	int r = node_find_anywhere(t, ino == FUSE_ROOT_ID ? node_ino(tree_root(t)) : ino, &n);

	if (r || !name[1]) {
		*out = n;
		return r;
	}
	parent = node_parent(n);
	if (parent)
		node_ref(parent);
	node_forget(t, n, 1);
	*out = parent;
	return parent ? 0 : -ESTALE;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct node *dir, *n = NULL;
	int r = -ESTALE;

	if (!strcmp(name, ".") || !strcmp(name, "..")) {
		r = find_by_handle(req, parent, name, &n);
	} else {
		dir = node_of(req, parent);
		if (dir)
			r = tree_lookup(server_of(req)->tree, dir, name, &n);
	}
	entry_reply_send(req, r, n);
}

static void forget_node(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	if (ino != FUSE_ROOT_ID)
		node_forget(server_of(req)->tree, node_of(req, ino), n);
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

static void send_attr_reply(const struct delayed_reply *r)
{
	if (r->error)
		reply_err(r->req, r->error);
	else
		fuse_reply_attr(r->req, &r->attr, r->timeout);
}

static void fill_attr_reply(fuse_req_t req, struct node *n, bool emptied, struct delayed_reply *out)
{
	struct server *s = server_of(req);

	out->timeout = emptied ? 0 : entry_reply_attr_timeout(s, n);
	entry_reply_await_size(s, n);
	out->error = tree_stat(s->tree, n, &out->attr);
	if (emptied)
		out->attr.st_size = 0;
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct delayed_reply reply = { .req = req };

	(void)fi;
	fill_attr_reply(req, node_of(req, ino), false, &reply);
	send_attr_reply(&reply);
}

/* Sets mode and owner of the file in SOURCE.  Without -o create they must stay as they are:
 * programs that copy set them, and would end with an error. */
static int set_mode_and_owner(fuse_req_t req, fuse_ino_t ino, const struct stat *st, int which)
{
	struct tree_maker owner = { (uid_t)-1, (gid_t)-1, (mode_t)-1 };
	struct stat now;
	int r = tree_stat(server_of(req)->tree, node_of(req, ino), &now);

	if (r)
		return r;
	if (which & FUSE_SET_ATTR_UID && st->st_uid != now.st_uid)
		owner.uid = st->st_uid;
	if (which & FUSE_SET_ATTR_GID && st->st_gid != now.st_gid)
		owner.gid = st->st_gid;
	if (which & FUSE_SET_ATTR_MODE && (st->st_mode ^ now.st_mode) & 07777)
		owner.mode = st->st_mode & 07777;
	return tree_set_owner(server_of(req)->tree, node_of(req, ino), &owner);
}

static int set_size(fuse_req_t req, fuse_ino_t ino, off_t size, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);

	if (s->ro)
		return -EROFS;
	return fi ? disk_size_set(open_file_of(fi), (uint64_t)size) :
		    disk_size_set_node(s->tree, node_of(req, ino), (uint64_t)size);
}

/* Setting times succeeds and has no effect.
 *
 * The reply to a truncation to 0 says that the file is empty, for no time.  The kernel then
 * drops all its pages, also dirty ones, which it would keep if the size stayed.  It asks for
 * the size again before it next uses it. */
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		struct fuse_file_info *fi)
{
	const int owner = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
	struct delayed_reply reply = { .send = send_attr_reply, .req = req };
	struct node *n = node_of(req, ino);
	bool sized = which & FUSE_SET_ATTR_SIZE;
	int r = which & owner ? set_mode_and_owner(req, ino, st, which) : 0;

	if (!r && sized)
		r = set_size(req, ino, st->st_size, fi);
	if (r)
		reply.error = r;
	else
		fill_attr_reply(req, n, sized && !st->st_size, &reply);
	if (sized)
		shared_pages_reply(&server_of(req)->pages, n, node_range(n), &reply);
	else
		reply.send(&reply);
}
