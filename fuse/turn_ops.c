/* SPDX-License-Identifier: MIT */
/*
 * turn_ops.c - the callbacks that may have to wait for a file, each in its turn.
 *
 * A callback comes with its arguments on the stack, and ends by a reply; one that
 * has to wait is copied.  Folders are listed in turns, too; names are looked up in
 * those of what they name.
 */
#include "turn_ops.h"

#include <stdlib.h>
#include <string.h>

#include "handle.h"

struct ask {
	struct turn turn;
	void (*run)(struct ask *);
	fuse_req_t req;
	fuse_ino_t ino;
	size_t len;
	off_t off, more;
	int number;
	struct stat st;
	bool has_file;
	struct fuse_file_info fi;
	char *data; /* of a copy: its own */
};

static struct turn *keep(struct turn *t)
{
	const struct ask *from = (const struct ask *)t;
	struct ask *a = malloc(sizeof(*a));
	size_t n = from->data ? from->len : 0;

	if (!a)
		return NULL;
	*a = *from;
	a->data = n ? malloc(n) : NULL;
	if (n && !a->data) {
		free(a);
		return NULL;
	}
	if (n)
		memcpy(a->data, from->data, n);
	return &a->turn;
}

/* A request is over once it is replied to, and then may be freed what it was for:
 * that is not looked at again. */
static void take_turn(struct ask *mine)
{
	struct turns *t = &server_of(mine->req)->turns;
	struct turn *next = turns_begin(t, &mine->turn, keep);

	while (next) {
		struct ask *a = (struct ask *)next;

		a->run(a);
		if (a != mine) {
			free(a->data);
			free(a);
		}
		next = turns_end(t, mine->turn.of);
	}
}

static struct ask ask(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		      void (*run)(struct ask *))
{
	struct ask a = { .run = run, .req = req, .ino = ino, .has_file = fi };

	a.turn.key = (uintptr_t)tree_origin(node_of(req, ino));

	if (fi)
		a.fi = *fi;
	return a;
}

static struct fuse_file_info *file_of(struct ask *a)
{
	return a->has_file ? &a->fi : NULL;
}

/* ---- one by one ----------------------------------------------------------- */

static void run_open(struct ask *a)
{
	op_open(a->req, a->ino, &a->fi);
}

void turn_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_open);

	take_turn(&a);
}

static void run_read(struct ask *a)
{
	op_read(a->req, a->ino, a->len, a->off, &a->fi);
}

void turn_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_read);

	a.len = len;
	a.off = off;
	take_turn(&a);
}

static void run_write(struct ask *a)
{
	op_write(a->req, a->ino, a->data, a->len, a->off, &a->fi);
}

void turn_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
		struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_write);

	a.data = (char *)buf; /* not ours, and not changed */
	a.len = len;
	a.off = off;
	take_turn(&a);
}

static void run_fallocate(struct ask *a)
{
	op_fallocate(a->req, a->ino, a->number, a->off, a->more, &a->fi);
}

void turn_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		    struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_fallocate);

	a.number = mode;
	a.off = off;
	a.more = len;
	take_turn(&a);
}

static void run_lseek(struct ask *a)
{
	op_lseek(a->req, a->ino, a->off, a->number, &a->fi);
}

void turn_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_lseek);

	a.off = off;
	a.number = whence;
	take_turn(&a);
}

static void run_fsync(struct ask *a)
{
	op_fsync(a->req, a->ino, a->number, &a->fi);
}

void turn_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_fsync);

	a.number = datasync;
	take_turn(&a);
}

static void run_flush(struct ask *a)
{
	op_flush(a->req, a->ino, &a->fi);
}

void turn_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_flush);

	take_turn(&a);
}

static void run_release(struct ask *a)
{
	op_release(a->req, a->ino, &a->fi);
}

void turn_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_release);

	take_turn(&a);
}

static void run_getattr(struct ask *a)
{
	op_getattr(a->req, a->ino, file_of(a));
}

void turn_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_getattr);

	take_turn(&a);
}

static void run_setattr(struct ask *a)
{
	op_setattr(a->req, a->ino, &a->st, a->number, file_of(a));
}

void turn_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int which,
		  struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_setattr);

	a.st = *st;
	a.number = which;
	take_turn(&a);
}

/* ---- names ---------------------------------------------------------------- */

static void run_lookup(struct ask *a)
{
	op_lookup(a->req, a->ino, a->data);
}

void turn_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ask a = ask(req, parent, NULL, run_lookup);

	a.turn.key = (uintptr_t)tree_peek(node_of(req, parent), name);
	a.data = (char *)name;
	a.len = strlen(name) + 1;
	take_turn(&a);
}

static void run_opendir(struct ask *a)
{
	op_opendir(a->req, a->ino, &a->fi);
}

void turn_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_opendir);

	take_turn(&a);
}

static void run_readdirplus(struct ask *a)
{
	op_readdirplus(a->req, a->ino, a->len, a->off, &a->fi);
}

void turn_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		      struct fuse_file_info *fi)
{
	struct ask a = ask(req, ino, fi, run_readdirplus);

	a.len = size;
	a.off = off;
	take_turn(&a);
}
