/* SPDX-License-Identifier: MIT */
/*
 * file_ops.c - opening, reading and writing an image.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "ops/open_file.h"
#include "ops/io_uring.h"
#include "util/shared_buf.h"

enum { SEEK_CALLS = 1 << 9 }; /* less than a second */

/* A text is read through its handle only: the kernel may know another size. */
static int open_text(struct server *s, struct open_file *h, struct fuse_file_info *fi)
{
	fi->direct_io = true;
	return h->writable ? -EROFS : tree_open_text(s->tree, h->node, &h->text);
}

static int open_image(struct server *s, struct open_file *h, fuse_ino_t ino,
		      struct fuse_file_info *fi)
{
	bool keep = false;
	int r = tree_open(s->tree, h->node, h->writable, &h->img, &keep);

	if (r)
		return r;
	readahead_raise(&s->ahead);
	/* The size may be another one, too.  (This is about attributes only, else it
	 * could not be said from here.) */
	if (!keep)
		fuse_lowlevel_notify_inval_inode(s->session, ino, -1, 0);
	h->generation = node_content_version(h->node);
	h->window = node_window(h->node);
	h->written = node_written_mark(h->node);
	fi->keep_cache = keep;
	fi->direct_io = s->direct_io || (!s->ro && node_follows_writes(h->node));
	return 0;
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct server *s = server_of(req);
	struct open_file *h = calloc(1, sizeof(*h));
	int r = -ENOMEM;

	if (h) {
		h->node = node_of(req, ino);
		h->writable = (fi->flags & O_ACCMODE) != O_RDONLY;
		r = h->writable && s->ro    ? -EROFS :
		    node_is_text(h->node) ? open_text(s, h, fi) :
					      open_image(s, h, ino, fi);
	}
	if (r) {
		free(h);
		op_reply_err(req, r);
		return;
	}
	node_ref(h->node);
	open_file_add(s, h, fi);
	fuse_reply_open(req, fi);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	open_file_close(server_of(req), open_file_of(fi));
	fuse_reply_err(req, 0);
}

/* One buffer per worker, for the largest request. */
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void make_buffer_key(void)
{
	if (pthread_key_create(&buffer_key, free))
		abort();
}

static void *own_buffer(void)
{
	void *buf;

	pthread_once(&buffer_once, make_buffer_key);
	buf = pthread_getspecific(buffer_key);
	if (buf || posix_memalign(&buf, 4096, MAX_IO))
		return buf;
	if (pthread_setspecific(buffer_key, buf)) {
		free(buf);
		return NULL;
	}
	return buf;
}

static void count_read(struct server *s, size_t bytes)
{
	static atomic_uint workers;
	static _Thread_local unsigned int mine; /* 0: not known yet */
	struct server_count *c;

	if (!mine)
		mine = atomic_fetch_add(&workers, 1) + 1;
	c = &s->count[mine % (sizeof(s->count) / sizeof(s->count[0]))];
	atomic_fetch_add_explicit(&c->reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
}

static size_t range_in(uint64_t size, off_t off, size_t len)
{
	uint64_t room = (uint64_t)off < size ? size - (uint64_t)off : 0;

	return len < room ? len : (size_t)room;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
		    struct fuse_file_info *fi)
{
	struct open_file *h = open_file_of(fi);
	void *buf = ring_memory(req, len);
	int r;

	(void)ino;
	if (!buf)
		buf = own_buffer();
	if (!buf || len > MAX_IO) {
		op_reply_err(req, buf ? -EINVAL : -ENOMEM);
		return;
	}
	if (h->text) {
		len = range_in(h->text->len, off, len);
		fuse_reply_buf(req, len ? h->text->bytes + off : NULL, len);
		return;
	}
	if (h->generation != node_content_version(h->node)) {
		op_reply_err(req, -ESTALE);
		return;
	}
	len = range_in(open_file_size(h), off, len);
	r = len ? qc_read(h->img, h->window.start + (uint64_t)off, buf, len) : 0;
	count_read(server_of(req), len);
	if (r)
		op_reply_err(req, r);
	else
		fuse_reply_buf(req, buf, len);
}

/* A disk of very many runs is not searched to its end: what was not looked at may
 * be called data, and that there are no more holes. */
static int seek(const struct open_file *h, uint64_t off, bool data, uint64_t *found)
{
	uint64_t size = open_file_size(h);

	for (int calls = 0; off < size; calls++) {
		struct qc_extent e;
		int r = qc_block_status(h->img, h->window.start + off, &e);

		if (r)
			return r;
		if (e.data == data)
			break;
		if (calls == SEEK_CALLS) {
			off = data ? off : size;
			break;
		}
		off += e.len;
	}
	if (off >= size && data)
		return -ENXIO;
	*found = off < size ? off : size;
	return 0;
}

static int seek_text(const struct shared_buf *x, off_t off, int whence, uint64_t *found)
{
	*found = whence == SEEK_DATA ? (uint64_t)off : x->len;
	return 0;
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	const struct open_file *h = open_file_of(fi);
	uint64_t found = 0;
	int r = -EINVAL;

	(void)ino;
	if (off < 0 || (uint64_t)off >= (h->text ? h->text->len : open_file_size(h)))
		r = -ENXIO;
	else if (whence == SEEK_DATA || whence == SEEK_HOLE)
		r = h->text ? seek_text(h->text, off, whence, &found) :
			    seek(h, (uint64_t)off, whence == SEEK_DATA, &found);
	if (r)
		op_reply_err(req, r);
	else
		fuse_reply_lseek(req, (off_t)found);
}

/* ---- writing -------------------------------------------------------------- */

/* What is written through a map after the file was closed is followed by no flush,
 * and its release comes late, or after an unmount not at all.  (A write that does not
 * see the flush was finished before, and is part of what that brings to the file.) */
static int settle_late(struct open_file *h, const struct fuse_file_info *fi)
{
	if (!fi->writepage) {
		if (h->closed) /* somebody has a descriptor, still */
			h->closed = false;
		return 0;
	}
	return h->closed ? qc_writeback(h->img) : 0;
}

/* The kernel sends what is written with O_DIRECT as to a disk of its own: a write that
 * comes back short is EIO there. */
static bool may_be_short(const struct server *s, const struct fuse_file_info *fi)
{
	return s->direct_io || !(fi->flags & O_DIRECT);
}

/* A disk does not grow by being written. */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
	      struct fuse_file_info *fi)
{
	struct open_file *h = open_file_of(fi);
	uint64_t size = open_file_size(h);
	bool crosses = false;
	int r;

	(void)ino;
	if (h->generation != node_content_version(h->node)) {
		op_reply_err(req, -ESTALE);
		return;
	}
	if ((uint64_t)off >= size && len) {
		op_reply_err(req, -ENOSPC);
		return;
	}
	if (len > size - (uint64_t)off) {
		len = (size_t)(size - (uint64_t)off);
		crosses = true;
	}
	r = qc_write(h->img, h->window.start + (uint64_t)off, buf, len);
	open_file_mark_written(h);
	if (!r && fi->flags & (O_SYNC | O_DSYNC))
		r = qc_flush(h->img);
	if (!r)
		r = settle_late(h, fi);
	if (!r && crosses && !may_be_short(server_of(req), fi))
		r = -ENOSPC;
	if (r)
		op_reply_err(req, r);
	else
		fuse_reply_write(req, len);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi)
{
	struct open_file *h = open_file_of(fi);
	uint64_t size = open_file_size(h), end = (uint64_t)off + (uint64_t)len;
	uint64_t at = h->window.start + (uint64_t)off;
	int kind = mode & ~FALLOC_FL_KEEP_SIZE, r;

	(void)ino;
	if (!h->writable || (end > size && !(mode & FALLOC_FL_KEEP_SIZE))) {
		op_reply_err(req, h->writable ? -ENOSPC : -EBADF);
		return;
	}
	end = end < size ? end : size;
	len = (uint64_t)off < end ? (off_t)(end - (uint64_t)off) : 0;
	if (!len)
		r = 0;
	else if (kind == FALLOC_FL_PUNCH_HOLE || kind == FALLOC_FL_ZERO_RANGE)
		r = qc_discard(h->img, at, (uint64_t)len);
	else
		r = kind ? -EOPNOTSUPP : qc_allocate(h->img, at, (uint64_t)len);
	open_file_mark_written(h);
	op_reply_err(req, r);
}

int op_set_size(fuse_req_t req, fuse_ino_t ino, off_t size, struct fuse_file_info *fi)
{
	struct tree *t = server_of(req)->tree;
	struct node *n = node_of(req, ino);
	struct qc_image *img;
	bool keep;
	int r;

	if (server_of(req)->ro)
		return -EROFS;
	if (node_window(n).len != UINT64_MAX) /* a partition keeps its size */
		return (uint64_t)size == node_window(n).len ? 0 : -EPERM;
	if (fi)
		return qc_resize(open_file_of(fi)->img, (uint64_t)size);
	r = tree_open(t, n, true, &img, &keep);
	if (r)
		return r;
	r = qc_resize(img, (uint64_t)size);
	node_close(n, img);
	return r;
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct qc_image *img = open_file_of(fi)->img;

	(void)ino, (void)datasync;
	op_reply_err(req, img ? qc_flush(img) : 0);
}

/* At each close(2), and before it returns: the release comes later, and after an
 * unmount perhaps never. */
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct open_file *h = open_file_of(fi);

	(void)ino;
	h->closed = true;
	op_reply_err(req, h->img ? qc_writeback(h->img) : 0);
}
