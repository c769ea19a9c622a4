/* SPDX-License-Identifier: MIT */
/*
 * limited_ops.c - the callbacks that may have to wait for a file, each in its turn.
 *
 * A callback comes with its arguments on the stack, and ends by a reply; one that
 * has to wait is copied.  Folders are listed in turns, too; names are looked up in
 * those of what they name.  What came through a ring is not to wait (io_uring.h).
 */
#include "ops/limited_ops.h"

#include <stdlib.h>
#include <string.h>

#include "ops/open_file.h"
#include "ops/io_uring.h"

typedef void file_op(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
typedef void stretch_op(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
			struct fuse_file_info *fi);

/* A callback, with pointers to what it was given. */
struct deferred_call {
	struct queued_request turn;
	void (*run)(struct deferred_call *);
	file_op *file_op; /* what run_file() calls */
	stretch_op *stretch_op; /* and run_stretch() */
	fuse_req_t req;
	fuse_ino_t ino;
	struct fuse_file_info *fi; /* NULL: none, as of st and data */
	struct stat *st;
	const char *data; /* len bytes */
	size_t len;
	off_t off, more;
	int number;
};

/* One that waits: all that it points to is here. */
struct kept {
	struct deferred_call ask;
	struct fuse_file_info fi;
	struct stat st;
	char data[];
};

static struct queued_request *keep(struct queued_request *t)
{
	const struct deferred_call *from = (const struct deferred_call *)t;
	struct kept *k = malloc(sizeof(*k) + (from->data ? from->len : 0));

	if (!k)
		return NULL;
	k->ask = *from;
	if (from->fi)
		k->ask.fi = memcpy(&k->fi, from->fi, sizeof(k->fi));
	if (from->st)
		k->ask.st = memcpy(&k->st, from->st, sizeof(k->st));
	if (from->data)
		k->ask.data = memcpy(k->data, from->data, from->len);
	return &k->ask.turn;
}

/* A request is over once it is replied to, and then may be freed what it was for:
 * that is not looked at again. */
static void take_turn(struct deferred_call *mine)
{
	struct request_limit *t = &server_of(mine->req)->turns;
	struct queued_request *next;

	if (request_is_uring(mine->req)) {
		mine->run(mine);
		return;
	}
	next = request_limit_begin(t, &mine->turn, keep);
	while (next) {
		struct deferred_call *a = (struct deferred_call *)next;

		a->run(a);
		if (a != mine)
			free(a); /* with all that is kept behind it */
		next = request_limit_end(t, mine->turn.of);
	}
}

/* The turn of the image that the node is, or is a view of. */
static void ask(struct deferred_call *a, fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	a->turn.key = (uintptr_t)tree_origin(node_of(req, ino));
	a->req = req;
	a->ino = ino;
	a->fi = fi;
	take_turn(a);
}

/* ---- of a file or folder -------------------------------------------------- */

static void run_file(struct deferred_call *a)
{
	a->file_op(a->req, a->ino, a->fi);
}

void limited_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_file, .file_op = op_open }, req, ino, fi);
}

void limited_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_file, .file_op = op_flush }, req, ino, fi);
}

void limited_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_file, .file_op = op_release }, req, ino, fi);
}

void limited_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_file, .file_op = op_getattr }, req, ino, fi);
}

void limited_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_file, .file_op = op_opendir }, req, ino, fi);
}

/* ---- of a stretch of it --------------------------------------------------- */

static void run_stretch(struct deferred_call *a)
{
	a->stretch_op(a->req, a->ino, a->len, a->off, a->fi);
}

void limited_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off, struct fuse_file_info *fi)
{
	struct deferred_call a = { .run = run_stretch, .stretch_op = op_read, .len = len, .off = off };

	ask(&a, req, ino, fi);
}

void limited_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	struct deferred_call a = { .run = run_stretch, .stretch_op = op_readdirplus, .len = size,
			 .off = off };

	ask(&a, req, ino, fi);
}

/* ---- with more to say ----------------------------------------------------- */

static void run_write(struct deferred_call *a)
{
	op_write(a->req, a->ino, a->data, a->len, a->off, a->fi);
}

void limited_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
		struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_write, .data = buf, .len = len, .off = off }, req, ino, fi);
}

static void run_fallocate(struct deferred_call *a)
{
	op_fallocate(a->req, a->ino, a->number, a->off, a->more, a->fi);
}

void limited_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		    struct fuse_file_info *fi)
{
	struct deferred_call a = { .run = run_fallocate, .number = mode, .off = off, .more = len };

	ask(&a, req, ino, fi);
}

static void run_lseek(struct deferred_call *a)
{
	op_lseek(a->req, a->ino, a->off, a->number, a->fi);
}

void limited_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_lseek, .off = off, .number = whence }, req, ino, fi);
}

static void run_fsync(struct deferred_call *a)
{
	op_fsync(a->req, a->ino, a->number, a->fi);
}

void limited_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_fsync, .number = datasync }, req, ino, fi);
}

static void run_setattr(struct deferred_call *a)
{
	op_setattr(a->req, a->ino, a->st, a->number, a->fi);
}

void limited_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		  struct fuse_file_info *fi)
{
	ask(&(struct deferred_call){ .run = run_setattr, .st = st, .number = which }, req, ino, fi);
}

static void run_lookup(struct deferred_call *a)
{
	op_lookup(a->req, a->ino, a->data);
}

/* In the turn of what the name is of. */
void limited_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct deferred_call a = { .turn.key = (uintptr_t)tree_origin_of_name(node_of(req, parent), name),
			 .run = run_lookup, .req = req, .ino = parent, .data = name,
			 .len = strlen(name) + 1 };

	take_turn(&a);
}
