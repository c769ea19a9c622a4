/* SPDX-License-Identifier: MIT */
/* file_ops.c - callbacks that open, flush and close a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "ops/disk_size.h"
#include "ops/entry_reply.h"
#include "ops/open_file.h"
#include "ops/ops.h"

#if FUSE_VERSION < FUSE_MAKE_VERSION(3, 15)
#include <linux/fuse.h>

enum { PARALLEL_DIRECT_WRITES = 1 << 6 }; /* FOPEN_PARALLEL_DIRECT_WRITES of Linux 6.2 */
#endif

/* Opens a text.  With direct_io the kernel does not use the size that it has cached, which
 * can be that of an older text. */
static int open_text(struct server *s, struct open_file *f, struct fuse_file_info *fi)
{
	fi->direct_io = true;
	return f->writable || f->truncates ? -EROFS : tree_open_text(s->tree, f->node, &f->text);
}

/* Chooses whether reads and writes of the open file bypass the page cache.
 *
 * The kernel lets direct writes of one file run in parallel only if the file bypasses the
 * cache.  So a file that is opened to be written with O_DIRECT does, if its pages and maps
 * stay true.  For reading that would be slower: the kernel sends the parts of a large read
 * one by one then.  A file that is written while another one shows the same bytes must
 * bypass the cache (shared_pages.h). */
static void set_direct_io(const struct server *s, struct open_file *f, struct fuse_file_info *fi)
{
	bool follows = !s->ro && node_follows_writes(f->node);

	fi->direct_io = s->direct_io || (follows && (f->writable || !shared_pages_work(&s->pages))) ||
			(s->direct_maps && f->writable && fi->flags & O_DIRECT);
	f->has_pages = follows && shared_pages_work(&s->pages) && (!fi->direct_io || s->direct_maps);
}

static int open_image_of_node(struct server *s, struct open_file *f, struct fuse_file_info *fi)
{
	bool keep = false;
	int r = tree_open(s->tree, f->node, f->writable || f->truncates, &f->img, &keep);

	if (r)
		return r;
	readahead_raise(&s->ahead);
	f->content_version = node_content_version(f->node);
	f->range = node_range(f->node);
	f->written = node_written_mark(f->node);
	fi->keep_cache = keep;
	return 0;
}

/* Opens the image, and empties the disk if open() has O_TRUNC.  The kernel sends this flag
 * (FUSE_ATOMIC_O_TRUNC), and drops its pages after the reply.
 *
 * The size can have changed since the kernel asked for it, and the times if emptying failed
 * halfway.  So the kernel must ask again.  This drops no pages: dropping them waits
 * for requests of other threads, and would block with one thread. */
static int open_and_empty(struct server *s, struct open_file *f, fuse_ino_t ino,
			  struct fuse_file_info *fi)
{
	int r = open_image_of_node(s, f, fi);

	if (r)
		return r;
	r = f->truncates ? disk_size_empty(f) : 0;
	if (r || !fi->keep_cache)
		fuse_lowlevel_notify_inval_inode(s->session, ino, -1, 0);
	if (r)
		node_close(f->node, f->img);
	return r;
}

static int open_disk(struct server *s, struct open_file *f, fuse_ino_t ino, struct fuse_file_info *fi)
{
	int r = 0;

	set_direct_io(s, f, fi);
	if (f->has_pages) /* now: pages that the kernel keeps must be dropped, too */
		r = shared_pages_open(&s->pages, f->node, ino);
	if (r)
		return r;
	r = open_and_empty(s, f, ino, fi);
	if (r && f->has_pages)
		shared_pages_close(&s->pages, f->node);
	return r;
}

int op_open_node(fuse_req_t req, struct node *n, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct open_file *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	if (f) {
		f->node = n;
		f->writable = (fi->flags & O_ACCMODE) != O_RDONLY;
		f->truncates = fi->flags & O_TRUNC;
		r = (f->writable || f->truncates) && s->ro ? -EROFS :
		    node_is_text(n)		   ? open_text(s, f, fi) :
							     open_disk(s, f, ino_of(req, n), fi);
	}
	if (r) {
		free(f);
		return r;
	}
	node_ref(f->node);
	open_file_add(s, f, fi);
	return 0;
}

void op_send_open(fuse_req_t req, const struct node *n, const struct delayed_reply *reply)
{
	if (reply->fi.flags & O_TRUNC)
		shared_pages_reply(&server_of(req)->pages, n, node_range(n), reply);
	else
		reply->send(reply);
}

/* Lets the kernel run writes of the file in parallel if they bypass its cache.  Before 3.15 libfuse
 * has no name for that, and the reply is sent as it stands in <linux/fuse.h>. */
static void reply_open(fuse_req_t req, struct fuse_file_info fi)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 15)
	fi.parallel_direct_writes = fi.direct_io;
#else
	const struct fuse_open_out out = {
		.fh = fi.fh,
		.open_flags = FOPEN_DIRECT_IO | PARALLEL_DIRECT_WRITES |
			      (fi.keep_cache ? FOPEN_KEEP_CACHE : 0),
	};

	if (fi.direct_io) {
		fuse_reply_buf(req, (const char *)&out, sizeof(out));
		return;
	}
#endif
	fuse_reply_open(req, &fi);
}

static void send_open_reply(const struct delayed_reply *r)
{
	if (r->error)
		reply_err(r->req, r->error);
	else
		reply_open(r->req, r->fi);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct delayed_reply reply = { .send = send_open_reply, .req = req };
	struct node *n = node_of(req, ino);

	entry_reply_await_size(server_of(req), n);
	reply.error = op_open_node(req, n, fi);
	reply.fi = *fi;
	op_send_open(req, n, &reply);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	open_file_close(server_of(req), open_file_of(fi));
	reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct qc_image *img = open_file_of(fi)->img;

	(void)ino, (void)datasync;
	reply_err(req, img ? qc_flush(img) : 0);
}

/* Writes changed tables to the image file.  The kernel waits for this callback in each
 * close(2).  RELEASE comes later, and perhaps never after an unmount. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_file *f = open_file_of(fi);

	(void)ino;
	f->closed = true;
	reply_err(req, f->img ? qc_writeback(f->img) : 0);
}
