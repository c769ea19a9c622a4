/* SPDX-License-Identifier: MIT */
/* file_ops.c - callbacks that open, flush and close a file. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "ops/open_file.h"
#include "ops/ops.h"

/* Opens a text.  With direct_io the kernel does not use the size that it has cached, which
 * can be that of an older text. */
static int open_text(struct server *s, struct open_file *f, struct fuse_file_info *fi)
{
	fi->direct_io = true;
	return f->writable ? -EROFS : tree_open_text(s->tree, f->node, &f->text);
}

static int open_disk(struct server *s, struct open_file *f, fuse_ino_t ino,
		     struct fuse_file_info *fi)
{
	bool keep = false;
	int r = tree_open(s->tree, f->node, f->writable, &f->img, &keep);

	if (r)
		return r;
	readahead_raise(&s->ahead);
	/* The size may be another one, too.  This drops attributes only.  Dropping pages waits
	 * for requests of other threads, and would block with one thread. */
	if (!keep)
		fuse_lowlevel_notify_inval_inode(s->session, ino, -1, 0);
	f->content_version = node_content_version(f->node);
	f->window = node_range(f->node);
	f->written = node_written_mark(f->node);
	fi->keep_cache = keep;
	fi->direct_io = s->direct_io || (!s->ro && node_follows_writes(f->node));
	return 0;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct open_file *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	if (f) {
		f->node = node_of(req, ino);
		f->writable = (fi->flags & O_ACCMODE) != O_RDONLY;
		r = f->writable && s->ro    ? -EROFS :
		    node_is_text(f->node) ? open_text(s, f, fi) :
					      open_disk(s, f, ino, fi);
	}
	if (r) {
		free(f);
		reply_err(req, r);
		return;
	}
	node_ref(f->node);
	open_file_add(s, f, fi);
	fuse_reply_open(req, fi);
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
