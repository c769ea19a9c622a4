/* SPDX-License-Identifier: MIT */
/* write_ops.c - callbacks that change the bytes of a disk. */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include "ops/disk_size.h"
#include "ops/open_file.h"
#include "ops/ops.h"

/* Writes changed tables to the image file if no FLUSH will follow.
 *
 * The kernel can send the dirty pages of a shared mapping after the last close().  No FLUSH
 * comes for them, and RELEASE comes late, or never after an unmount.  A write that does not
 * see `closed` yet has ended before the FLUSH, which then covers it. */
static int write_back_if_closed(struct open_file *f, const struct fuse_file_info *fi)
{
	if (!fi->writepage) {
		if (f->closed) /* a descriptor is still open, so a FLUSH will come */
			f->closed = false;
		return 0;
	}
	return f->closed ? qc_writeback(f->img) : 0;
}

/* Returns true if the reply may be a short count.  The kernel splits an O_DIRECT write of a
 * cached file into requests, and turns a short reply into EIO. */
static bool may_reply_short(const struct server *s, const struct fuse_file_info *fi)
{
	return s->direct_io || !(fi->flags & O_DIRECT);
}

/* Makes room for a write that ends at @end.  *size: where the file ends then. */
static int make_room(struct open_file *f, uint64_t end, uint64_t *size)
{
	bool growing = growing_disk_is_growing(f->node);
	int r = open_file_is_stale(f) ? -ESTALE :
		growing		      ? growing_disk_reserve(f->img, end) :
					disk_size_regrow(f, end);

	*size = growing ? end : open_file_size(f);
	return r;
}

/* Notes where a change ended, if it can have made a growing disk longer. */
static void note_end(struct open_file *f, uint64_t end, int r)
{
	if (!growing_disk_is_growing(f->node) || end <= growing_disk_size(f->node))
		return;
	if (r)
		growing_disk_undo(f->node, f->img);
	else
		growing_disk_extend(f->node, end);
}

/* Writes to the disk, whole clusters compressed if the mount wants that.  The first and the last
 * part of the range wait for the rest of their clusters. */
static int write_bytes(struct server *s, struct open_file *f, uint64_t at, const char *buf, size_t len)
{
	uint64_t cluster = qc_cluster_size(f->img), head = (cluster - at % cluster) % cluster;
	size_t tail;
	int r;

	if (!s->compress || !qc_image_can_compress(f->img))
		return qc_write(f->img, at, buf, len);
	head = head < len ? head : len;
	tail = (size_t)((len - head) % cluster);
	r = head ? qc_write_gathered(f->img, at, buf, (size_t)head) : 0;
	if (!r && len > head + tail)
		r = cluster_writer_run(&s->cluster_writer, f->img, at + head, buf + head,
				       len - (size_t)head - tail);
	if (!r && tail)
		r = qc_write_gathered(f->img, at + len - tail, buf + len - tail, tail);
	return r;
}

static void send_write_reply(const struct delayed_reply *r)
{
	if (r->error)
		reply_err(r->req, r->error);
	else
		fuse_reply_write(r->req, r->count);
}

/* Writes bytes within the file, as its flags say. */
static int write_file(struct server *s, struct open_file *f, const struct fuse_file_info *fi,
		      uint64_t off, const char *buf, size_t len)
{
	int r = write_bytes(s, f, f->range.start + off, buf, len);

	note_end(f, off + len, r);
	open_file_mark_written(f);
	if (!r && fi->flags & (O_SYNC | O_DSYNC))
		r = qc_flush(f->img);
	return r ? r : write_back_if_closed(f, fi);
}

/* Writes up to the end of the disk: a disk does not grow by being written, unless it is new, or was
 * cut through the same open file. */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t len, off_t off,
	      struct fuse_file_info *fi)
{
	struct delayed_reply reply = { .send = send_write_reply, .req = req };
	struct open_file *f = open_file_of(fi);
	struct server *s = server_of(req);
	uint64_t size;
	bool crosses = false;
	int r = make_room(f, (uint64_t)off + len, &size);

	(void)ino;
	if (!r && (uint64_t)off >= size && len)
		r = -ENOSPC;
	if (r) {
		reply_err(req, r);
		return;
	}
	if (len > size - (uint64_t)off) {
		len = (size_t)(size - (uint64_t)off);
		crosses = true;
	}
	r = write_file(s, f, fi, (uint64_t)off, buf, len);
	if (!r && crosses && !may_reply_short(s, fi))
		r = -ENOSPC;
	reply.error = r;
	reply.count = len;
	shared_pages_reply(&s->pages, f->node,
			   (struct byte_range){ f->range.start + (uint64_t)off, len }, &reply);
}

/* Returns how many bytes of a range are before the end of the file.  *r: an error. */
static uint64_t limit_to_file(struct open_file *f, int mode, uint64_t off, uint64_t len, int *r)
{
	uint64_t size = open_file_size(f), end = off + len;

	*r = f->writable ? 0 : -EBADF;
	if (!*r && !(mode & FALLOC_FL_KEEP_SIZE) && growing_disk_is_growing(f->node))
		*r = make_room(f, end, &size);
	if (!*r && end > size && !(mode & FALLOC_FL_KEEP_SIZE))
		*r = -ENOSPC;
	end = end < size ? end : size;
	return off < end ? end - off : 0;
}

static void send_status_reply(const struct delayed_reply *r)
{
	reply_err(r->req, r->error);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
		  struct fuse_file_info *fi)
{
	struct delayed_reply reply = { .send = send_status_reply, .req = req };
	struct open_file *f = open_file_of(fi);
	struct byte_range changed = { .start = f->range.start + (uint64_t)off };
	int kind = mode & ~FALLOC_FL_KEEP_SIZE, r;

	(void)ino;
	changed.len = limit_to_file(f, mode, (uint64_t)off, (uint64_t)len, &r);
	if (r) {
		reply_err(req, r);
		return;
	}
	if (!changed.len)
		r = 0;
	else if (kind == FALLOC_FL_PUNCH_HOLE || kind == FALLOC_FL_ZERO_RANGE)
		r = qc_discard(f->img, changed.start, changed.len);
	else
		r = kind ? -EOPNOTSUPP : qc_allocate(f->img, changed.start, changed.len);
	if (changed.len)
		note_end(f, (uint64_t)off + changed.len, r);
	open_file_mark_written(f);
	reply.error = r;
	shared_pages_reply(&server_of(req)->pages, f->node, changed, &reply);
}
