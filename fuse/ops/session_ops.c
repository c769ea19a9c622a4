/* SPDX-License-Identifier: MIT */
/* session_ops.c - callbacks about the mount as a whole. */
#include "ops/init_reply.h"
#include "ops/open_file.h"
#include "ops/ops.h"

enum { TRUE_PAGES_MINOR = 45 }; /* FUSE 7.45 */

/* Lets programs map files with MAP_SHARED that the kernel does not cache.
 *
 * Since Linux 6.18 (FUSE 7.45) the kernel keeps the pages of a map true to direct reads and
 * writes of the same file.  Earlier kernels can read a page anew while a direct write is in
 * progress, and keep the old bytes.  If two files can be written and show the same bytes, as a
 * disk and its partitions do, one of them must have no pages that are newer than the image.  Then
 * mmap() fails with ENODEV. */
static void allow_direct_maps(struct server *s, struct fuse_conn_info *conn)
{
	bool keeps_true = conn->proto_minor >= TRUE_PAGES_MINOR;

	s->pages.kernel_drops_own = keeps_true;
	s->direct_maps = !s->shares_writes && keeps_true && init_reply_allow_direct_maps(conn);
}

/* Turns extended attributes on where they make no write slower (xattr_ops.c).  No file of the mount
 * has set-user-ID bits or capabilities that a write would have to remove. */
static void allow_xattrs(struct server *s, struct fuse_conn_info *conn)
{
	bool handled = init_reply_handle_killpriv(conn);

	s->has_xattrs = s->ro || handled;
}

void op_init(void *arg, struct fuse_conn_info *conn)
{
	struct server *s = arg;

	/* One read into a buffer and one reply are faster than splicing. */
	conn->want &= ~(unsigned int)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE);
	conn->want |= conn->capable & (FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				       FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ |
				       FUSE_CAP_ASYNC_DIO | FUSE_CAP_AUTO_INVAL_DATA |
				       FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_EXPORT_SUPPORT);
	conn->max_read = conn->max_write = conn->max_readahead = MAX_IO;
	/* The kernel counts readahead as background requests.  With a low limit, readahead of
	 * one stuck image would block the readers of all others. */
	conn->max_background = 256;
	conn->congestion_threshold = 192;
	/* The times are those of the image files, in nanoseconds. */
	conn->time_gran = 1;
	allow_direct_maps(s, conn);
	allow_xattrs(s, conn);
	io_uring_configure(conn, s->io_uring);
	if (s->ready)
		s->ready(s->ready_arg);
}

/* Detaching a loop device sends no FLUSH, and the kernel does not wait for RELEASE.
 * umount(8) calls statfs() first, so this callback waits for pending closes.  After that the
 * image is complete. */
void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st;
	int r;

	(void)ino;
	open_files_await_closes(server_of(req));
	r = tree_statfs(server_of(req)->tree, &st);
	if (r)
		reply_err(req, r);
	else
		fuse_reply_statfs(req, &st);
}
