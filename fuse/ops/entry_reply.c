/* SPDX-License-Identifier: MIT */
#include "ops/entry_reply.h"

#include "ops/open_file.h"

/* Seconds for which the kernel uses names and attributes before it asks again. */
static const double CACHE_SECONDS = 1.0;

enum { RELEASE_MS = 50 }; /* longer than the kernel and a thread take for a RELEASE */

/* A text is made when its size is asked for, so the kernel must ask each time. */
double entry_reply_attr_timeout(struct server *s, const struct node *n)
{
	return node_is_text(n) || open_files_truncate(s, n) ? 0 : CACHE_SECONDS;
}

void entry_reply_await_size(struct server *s, const struct node *n)
{
	if (growing_disk_is_growing(n))
		open_files_await_release(s, node_origin(n), RELEASE_MS);
}

/* A virtual file goes with the name of its image, of which the kernel hears nothing. */
static double entry_timeout(struct server *s, const struct node *n)
{
	return tree_creates(s->tree) && node_origin(n) != n ? 0 : CACHE_SECONDS;
}

int entry_reply_fill(fuse_req_t req, struct node *n, struct fuse_entry_param *e)
{
	entry_reply_await_size(server_of(req), n);
	*e = (struct fuse_entry_param){
		.ino = ino_of(req, n),
		.attr_timeout = entry_reply_attr_timeout(server_of(req), n),
		.entry_timeout = entry_timeout(server_of(req), n),
	};
	return tree_stat(server_of(req)->tree, n, &e->attr);
}

void entry_reply_send(fuse_req_t req, int r, struct node *n)
{
	struct fuse_entry_param e;

	if (!r) {
		r = entry_reply_fill(req, n, &e);
		if (r)
			node_forget(server_of(req)->tree, n, 1);
	}
	if (r)
		reply_err(req, r);
	else
		fuse_reply_entry(req, &e);
}
