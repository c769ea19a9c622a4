/* SPDX-License-Identifier: MIT */
/*
 * dir_ops.c - listing a folder: what it held when it was opened.
 */
#include <errno.h>
#include <stdlib.h>

#include "ops/open_file.h"

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct open_file *h = calloc(1, sizeof(*h));
	struct listing *l = calloc(1, sizeof(*l));
	int r = h && l ? tree_list(s->tree, node_of(req, ino), l) : -ENOMEM;

	if (r) {
		free(l);
		free(h);
		op_reply_err(req, r);
		return;
	}
	h->listing = l;
	open_file_add(s, h, fi);
	fuse_reply_open(req, fi);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	open_file_close(server_of(req), open_file_of(fi));
	fuse_reply_err(req, 0);
}

/* The entry at a position of a listing: ".", "..", then the nodes. */
static struct node *entry_at(const struct listing *l, struct node *folder, size_t at,
			     const char **name)
{
	if (at < 2) {
		*name = at ? ".." : ".";
		return at ? node_parent(folder) : folder;
	}
	*name = l->name ? l->name[at - 2] : node_name(l->node[at - 2]);
	return l->node[at - 2];
}

/* Adds one entry to the reply.  The size it needs, which may be more than
 * there is room; 0 to leave it out. */
static size_t add_plain(fuse_req_t req, char *buf, size_t room, const char *name,
			struct node *n, off_t next)
{
	struct stat st = {
		.st_ino = node_ino(n),
		.st_mode = node_is_folder(n) ? S_IFDIR : S_IFREG,
	};

	return fuse_add_direntry(req, buf, room, name, &st, next);
}

static size_t add_plus(fuse_req_t req, char *buf, size_t room, const char *name,
		       struct node *n, off_t next)
{
	size_t need = fuse_add_direntry_plus(req, NULL, 0, name, NULL, 0);
	struct fuse_entry_param e;

	if (need > room)
		return need;
	if (op_fill_entry(req, n, &e))
		return 0; /* it has gone */
	/* The kernel holds a reference of all but "." and "..". */
	if (next > 2)
		node_ref(n);
	return fuse_add_direntry_plus(req, buf, room, name, &e, next);
}

static void read_folder(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			struct fuse_file_info *fi, bool plus)
{
	const struct listing *l = open_file_of(fi)->listing;
	struct node *folder = node_of(req, ino);
	char *buf = malloc(size);
	size_t used = 0;

	if (!buf) {
		op_reply_err(req, -ENOMEM);
		return;
	}
	for (size_t at = (size_t)off; at < l->n + 2; at++) {
		const char *name;
		struct node *n = entry_at(l, folder, at, &name);
		size_t need = (plus ? add_plus : add_plain)(req, buf + used, size - used, name,
							    n, (off_t)at + 1);

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
	read_folder(req, ino, size, off, fi, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			   struct fuse_file_info *fi)
{
	read_folder(req, ino, size, off, fi, true);
}
