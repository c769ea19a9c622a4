/* SPDX-License-Identifier: MIT */
/* read_ops.c - callbacks that read a file, and that search it for data and holes. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ops/open_file.h"
#include "ops/ops.h"
#include "util/shared_buf.h"

enum { SEEK_EXTENTS = 1 << 9 }; /* that one lseek() looks at: less than a second */

/* Each worker thread has one buffer for the largest read. */
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

static void create_buffer_key(void)
{
	if (pthread_key_create(&buffer_key, free))
		abort();
}

static void *thread_buffer(void)
{
	void *buf;

	pthread_once(&buffer_once, create_buffer_key);
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
	static _Thread_local unsigned int number; /* of this worker; 0: not assigned yet */
	struct server_count *c;

	if (!number)
		number = atomic_fetch_add(&workers, 1) + 1;
	c = &s->count[number % (sizeof(s->count) / sizeof(s->count[0]))];
	atomic_fetch_add_explicit(&c->reads, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
}

/* Returns how many of `len` bytes at `off` are before the end of a file of this size. */
static size_t bytes_before_end(uint64_t size, off_t off, size_t len)
{
	uint64_t room = off >= 0 && (uint64_t)off < size ? size - (uint64_t)off : 0;

	return room < len ? (size_t)room : len;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t len, off_t off,
	     struct fuse_file_info *fi)
{
	struct open_file *f = open_file_of(fi);
	void *buf = io_uring_reply_buffer(req, len);
	int r;

	(void)ino;
	if (!buf)
		buf = thread_buffer();
	if (!buf || len > MAX_IO) {
		reply_err(req, buf ? -EINVAL : -ENOMEM);
		return;
	}
	if (f->text) {
		len = bytes_before_end(f->text->len, off, len);
		/* As soon as the kernel has the reply, the text may be closed and freed. */
		if (len)
			memcpy(buf, f->text->bytes + off, len);
		fuse_reply_buf(req, buf, len);
		return;
	}
	if (open_file_is_stale(f)) {
		reply_err(req, -ESTALE);
		return;
	}
	len = bytes_before_end(open_file_size(f), off, len);
	r = len ? qc_read(f->img, f->range.start + (uint64_t)off, buf, len) : 0;
	count_read(server_of(req), len);
	if (r)
		reply_err(req, r);
	else
		fuse_reply_buf(req, buf, len);
}

/* Finds the run at an offset of the disk.  lseek() stops at the begin of a run, where the next call
 * mostly goes on: it finds the run that this one has kept.  The caller holds seek_lock. */
static int find_seek_run(struct open_file *f, uint64_t at, struct qc_extent *e)
{
	struct seek_run *last = &f->seek_run;
	uint64_t layout = qc_layout_version(f->img), inside = at - last->off;
	int r;

	if (layout && last->layout == layout && at >= last->off && inside < last->extent.len) {
		*e = (struct qc_extent){ last->extent.len - inside, last->extent.data };
		return 0;
	}
	r = qc_block_status(f->img, at, e);
	*last = (struct seek_run){ at, r ? 0 : layout, *e };
	return r;
}

/* Searches a disk for the next data or hole from `off` on.  After SEEK_EXTENTS extents the
 * search stops, and all of the rest counts as data: lseek(2) allows that for holes. */
static int search_runs(struct open_file *f, uint64_t off, bool data, uint64_t *found)
{
	uint64_t size = open_file_size(f);

	for (int extents = 0; off < size; extents++) {
		struct qc_extent e = { 0 };
		int r = find_seek_run(f, f->range.start + off, &e);

		if (r)
			return r;
		if (e.data == data)
			break;
		if (extents == SEEK_EXTENTS) {
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

static int seek_disk(struct open_file *f, uint64_t off, bool data, uint64_t *found)
{
	int r;

	pthread_mutex_lock(&f->seek_lock);
	r = search_runs(f, off, data, found);
	pthread_mutex_unlock(&f->seek_lock);
	return r;
}

static int seek_text(const struct shared_buf *text, off_t off, int whence, uint64_t *found)
{
	*found = whence == SEEK_DATA ? (uint64_t)off : text->len;
	return 0;
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	      struct fuse_file_info *fi)
{
	struct open_file *f = open_file_of(fi);
	uint64_t found = 0;
	int r = -EINVAL;

	(void)ino;
	if (off < 0 || (uint64_t)off >= (f->text ? f->text->len : open_file_size(f)))
		r = -ENXIO;
	else if (whence == SEEK_DATA || whence == SEEK_HOLE)
		r = f->text ? seek_text(f->text, off, whence, &found) :
			      seek_disk(f, (uint64_t)off, whence == SEEK_DATA, &found);
	if (r)
		reply_err(req, r);
	else
		fuse_reply_lseek(req, (off_t)found);
}
