/* SPDX-License-Identifier: MIT */
#include "ops/init_reply.h"

#ifdef HAVE_DIRECT_IO_MMAP

int init_reply_attach(struct fuse_session *session)
{
	(void)session;
	return 0;
}

static bool want_capability(struct fuse_conn_info *conn, unsigned int capability)
{
	conn->want |= conn->capable & capability;
	return conn->capable & capability;
}

bool init_reply_allow_direct_maps(struct fuse_conn_info *conn)
{
	return want_capability(conn, FUSE_CAP_DIRECT_IO_ALLOW_MMAP);
}

bool init_reply_handle_killpriv(struct fuse_conn_info *conn)
{
	return want_capability(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
}

#else

#include <linux/fuse.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

static const uint64_t KILLPRIV_V2 = UINT64_C(1) << 28, DIRECT_IO_ALLOW_MMAP = UINT64_C(1) << 36;

static _Thread_local uint64_t added_flags; /* to the next reply of this thread */

/* Writes a reply; libfuse writes that to FUSE_INIT as its head and a struct fuse_init_out. */
static ssize_t write_reply(int fd, struct iovec *iov, int count, void *unused)
{
	struct fuse_init_out *init;

	(void)unused;
	if (added_flags && count == 2 && iov[1].iov_len == sizeof(*init)) {
		init = iov[1].iov_base;
		init->flags |= (uint32_t)added_flags;
		if (init->flags & FUSE_INIT_EXT) /* the kernel reads flags2 */
			init->flags2 |= (uint32_t)(added_flags >> 32);
	}
	added_flags = 0;
	return writev(fd, iov, count);
}

static ssize_t read_request(int fd, void *buf, size_t len, void *unused)
{
	(void)unused;
	return read(fd, buf, len);
}

int init_reply_attach(struct fuse_session *session)
{
	static const struct fuse_custom_io io = { .writev = write_reply, .read = read_request };

	return fuse_session_custom_io(session, &io, fuse_session_fd(session));
}

/* The kernel's minor version says what it knows, since libfuse does not. */
static bool add_flag(const struct fuse_conn_info *conn, unsigned int minor, uint64_t flag)
{
	if (conn->proto_minor < minor)
		return false;
	added_flags |= flag;
	return true;
}

bool init_reply_allow_direct_maps(struct fuse_conn_info *conn)
{
	return add_flag(conn, 39, DIRECT_IO_ALLOW_MMAP);
}

bool init_reply_handle_killpriv(struct fuse_conn_info *conn)
{
	return add_flag(conn, 33, KILLPRIV_V2);
}

#endif
