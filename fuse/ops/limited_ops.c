/* SPDX-License-Identifier: MIT */
/*
 * limited_ops.c - the callbacks under the request limit of an image (request_limit.h).
 *
 * The arguments of a callback are on the stack of its thread.  A call that has to wait is
 * copied with all that its arguments point to.  Listing a folder counts for this folder, and a
 * lookup counts for the image that the name belongs to.
 */
#include "ops/limited_ops.h"

#include <stdlib.h>
#include <string.h>

#include "ops/open_file.h"
#include "ops/ops.h"

typedef void file_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
typedef void range_op(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		      struct fuse_file_info *fi);

/* A call of a callback, with pointers to its arguments. */
struct deferred_call {
	struct queued_request request;
	void (*run)(struct deferred_call *);
	file_op *file_op; /* for run_file_op() */
	range_op *range_op; /* for run_range_op() */
	fuse_req_t req;
	fuse_ino_t ino;
	struct fuse_file_info *fi; /* NULL: none; as are st and data */
	struct stat *st;
	const char *data; /* len bytes */
	size_t len;
	off_t off, length;
	int number;
};

/* A call in the queue, with its arguments. */
struct queued_call {
	struct deferred_call call;
	struct fuse_file_info fi;
	struct stat st;
	char data[];
};

static struct queued_request *copy_to_queue(struct queued_request *r)
{
	const struct deferred_call *from = (const struct deferred_call *)r;
	struct queued_call *to = malloc(sizeof(*to) + (from->data ? from->len : 0));

	if (!to)
		return NULL;
	to->call = *from;
	if (from->fi)
		to->call.fi = memcpy(&to->fi, from->fi, sizeof(to->fi));
	if (from->st)
		to->call.st = memcpy(&to->st, from->st, sizeof(to->st));
	if (from->data)
		to->call.data = memcpy(to->data, from->data, from->len);
	return &to->call.request;
}

/* Runs the call, or queues it, and then goes on with calls from the queue.  A call that has
 * replied is not looked at again: libfuse may have freed its request. */
static void run_or_queue(struct deferred_call *mine)
{
	struct request_limit *l = &server_of(mine->req)->limit;
	struct queued_request *next;

	if (io_uring_has_request(mine->req)) {
		mine->run(mine);
		return;
	}
	next = request_limit_begin(l, &mine->request, copy_to_queue);
	while (next) {
		struct deferred_call *c = (struct deferred_call *)next;

		c->run(c);
		if (c != mine)
			free(c); /* it is the first member of a queued_call */
		next = request_limit_end(l, mine->request.slot);
	}
}

/* Runs a call under the limit of the image that the node shows, or is a view of. */
static void run_limited(struct deferred_call *c, fuse_req_t req, fuse_ino_t ino,
			struct fuse_file_info *fi)
{
	/* An open file knows its node, so that reads and writes need no search. */
	struct node *n = fi && fi->fh ? open_file_of(fi)->node : NULL;

	c->request.image = (uintptr_t)node_origin(n ? n : node_of(req, ino));
	c->req = req;
	c->ino = ino;
	c->fi = fi;
	run_or_queue(c);
}

/* ---- callbacks without further arguments ----------------------------------- */

static void run_file_op(struct deferred_call *c)
{
	c->file_op(c->req, c->ino, c->fi);
}

void limited_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_file_op, .file_op = op_open };

	run_limited(&c, req, ino, fi);
}

void limited_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_file_op, .file_op = op_flush };

	run_limited(&c, req, ino, fi);
}

void limited_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_file_op, .file_op = op_release };

	run_limited(&c, req, ino, fi);
}

void limited_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_file_op, .file_op = op_getattr };

	run_limited(&c, req, ino, fi);
}

void limited_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_file_op, .file_op = op_opendir };

	run_limited(&c, req, ino, fi);
}

/* ---- callbacks with a length and an offset --------------------------------- */

static void run_range_op(struct deferred_call *c)
{
	c->range_op(c->req, c->ino, c->len, c->off, c->fi);
}

void limited_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		  struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_range_op, .range_op = op_read,
				   .len = len, .off = off };

	run_limited(&c, req, ino, fi);
}

void limited_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
			 struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_range_op, .range_op = op_readdirplus,
				   .len = size, .off = off };

	run_limited(&c, req, ino, fi);
}

/* ---- callbacks with other arguments ---------------------------------------- */

static void run_write(struct deferred_call *c)
{
	op_write(c->req, c->ino, c->data, c->len, c->off, c->fi);
}

void limited_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
		   struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_write, .data = buf, .len = len, .off = off };

	run_limited(&c, req, ino, fi);
}

static void run_fallocate(struct deferred_call *c)
{
	op_fallocate(c->req, c->ino, c->number, c->off, c->length, c->fi);
}

void limited_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		       struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_fallocate, .number = mode,
				   .off = off, .length = len };

	run_limited(&c, req, ino, fi);
}

static void run_lseek(struct deferred_call *c)
{
	op_lseek(c->req, c->ino, c->off, c->number, c->fi);
}

void limited_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		   struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_lseek, .off = off, .number = whence };

	run_limited(&c, req, ino, fi);
}

static void run_fsync(struct deferred_call *c)
{
	op_fsync(c->req, c->ino, c->number, c->fi);
}

void limited_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_fsync, .number = datasync };

	run_limited(&c, req, ino, fi);
}

static void run_setattr(struct deferred_call *c)
{
	op_setattr(c->req, c->ino, c->st, c->number, c->fi);
}

void limited_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		     struct fuse_file_info *fi)
{
	struct deferred_call c = { .run = run_setattr, .st = st, .number = which };

	run_limited(&c, req, ino, fi);
}

static void run_getxattr(struct deferred_call *c)
{
	op_getxattr(c->req, c->ino, c->data, (size_t)c->length);
}

void limited_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t room)
{
	struct deferred_call c = { .run = run_getxattr, .data = name, .len = strlen(name) + 1,
				   .length = (off_t)room };

	if (op_getxattr_is_quick(req, name))
		op_getxattr(req, ino, name, room);
	else
		run_limited(&c, req, ino, NULL);
}

static void run_listxattr(struct deferred_call *c)
{
	op_listxattr(c->req, c->ino, c->len);
}

void limited_listxattr(fuse_req_t req, fuse_ino_t ino, size_t room)
{
	struct deferred_call c = { .run = run_listxattr, .len = room };

	run_limited(&c, req, ino, NULL);
}

static void run_lookup(struct deferred_call *c)
{
	op_lookup(c->req, c->ino, c->data);
}

/* Runs under the limit of the image that the name belongs to. */
void limited_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct tree *t = server_of(req)->tree;
	struct node *dir = node_of(req, parent); /* NULL: it is to be found by a file handle */
	struct deferred_call c = {
		.request.image = (uintptr_t)tree_origin_of_name(t, dir ? dir : tree_root(t), name),
		.run = run_lookup,
		.req = req,
		.ino = parent,
		.data = name,
		.len = strlen(name) + 1,
	};

	run_or_queue(&c);
}
