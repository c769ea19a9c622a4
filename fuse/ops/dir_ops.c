/* SPDX-License-Identifier: MIT */
/*
 * dir_ops.c - callbacks that list a folder.
 *
 * opendir() takes a list of the nodes in the folder, each with a reference.  All reads of this
 * handle use this list, so a position stays valid while the folder changes.
 */
#include <errno.h>
#include <stdlib.h>

#include "ops/entry_reply.h"
#include "ops/open_file.h"
#include "ops/ops.h"

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct open_file *f = calloc(1, sizeof(*f));
	struct listing *l = calloc(1, sizeof(*l));
	int r = f && l ? tree_list(s->tree, node_of(req, ino), l) : -ENOMEM;

	if (r) {
		free(l);
		free(f);
		reply_err(req, r);
		return;
	}
	f->listing = l;
	open_file_add(s, f, fi);
	fuse_reply_open(req, fi);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	open_file_close(server_of(req), open_file_of(fi));
	reply_err(req, 0);
}

/* Returns the entry at a position of the listing: ".", "..", then the nodes. */
static struct node *entry_at(const struct listing *l, struct node *folder, size_t at,
			     const char **name)
{
	if (at < 2) {
		*name = at ? ".." : ".";
		return at ? node_parent(folder) : folder;
	}
	*name = l->name[at - 2];
	return l->node[at - 2];
}

typedef size_t add_entry_fn(fuse_req_t req, char *buf, size_t room, const char *name,
			    struct node *n, off_t next);

/* Adds one entry to the reply, without attributes.  Returns the bytes that it needs.  If that
 * is more than `room` nothing was added. */
static size_t add_entry(fuse_req_t req, char *buf, size_t room, const char *name, struct node *n,
			off_t next)
{
	struct stat st = {
		.st_ino = node_ino(n),
		.st_mode = node_is_dir(n) ? S_IFDIR : S_IFREG,
	};

	return fuse_add_direntry(req, buf, room, name, &st, next);
}

/* Like add_entry(), with attributes.  Returns 0 to leave out a node that has vanished. */
static size_t add_entry_plus(fuse_req_t req, char *buf, size_t room, const char *name,
			     struct node *n, off_t next)
{
	size_t need = fuse_add_direntry_plus(req, NULL, 0, name, NULL, 0);
	struct fuse_entry_param e;

	if (need > room)
		return need;
	if (entry_reply_fill(req, n, &e))
		return 0;
	/* The kernel gets a reference of each entry, but not of "." and "..". */
	if (next > 2)
		node_ref(n);
	return fuse_add_direntry_plus(req, buf, room, name, &e, next);
}

static void reply_entries(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			  struct fuse_file_info *fi, bool plus)
{
	const struct listing *l = open_file_of(fi)->listing;
	struct node *folder = node_of(req, ino);
	add_entry_fn *add = plus ? add_entry_plus : add_entry;
	char *buf = malloc(size);
	size_t used = 0;

	if (!buf) {
		reply_err(req, -ENOMEM);
		return;
	}
	for (size_t at = (size_t)off; at < l->n + 2; at++) {
		const char *name;
		struct node *n = entry_at(l, folder, at, &name);
		size_t need = add(req, buf + used, size - used, name, n, (off_t)at + 1);

		if (need > size - used)
			break;
		used += need;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	reply_entries(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	reply_entries(req, ino, size, off, fi, true);
}
