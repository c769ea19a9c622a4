/* SPDX-License-Identifier: MIT */
/*
 * io_uring.h - requests that come through rings of io_uring, where libfuse has that.
 *
 * There is a ring for each processor, and one thread that takes its requests, one
 * after the other.  Each is replied to by that thread: libfuse looks at a request after
 * the reply to it was sent, when the next one may be in its place, and fills its own
 * ring without the lock that others take.  So these requests take no turns.
 */
#ifndef IO_URING_H
#define IO_URING_H

#include "ops/server.h"

#ifdef HAVE_RINGS
/* Asks the kernel for them, or not, whatever the environment tells libfuse.  If it has none
 * the log says so, and all is as ever. */
void rings_choose(struct fuse_conn_info *conn, bool wanted);

/* The memory of the request that its reply is sent from, if it came through a ring and
 * that is enough for n bytes: what is put there need not be copied.  Else NULL. */
void *ring_memory(fuse_req_t req, size_t n);

/* libfuse ends the thread of a ring by pthread_cancel(3), also while it serves a request:
 * half a write would be done, and locks stay taken.  A thread that was here goes on to
 * the end, and then leaves since it is told otherwise, too. */
void uring_disable_cancel(void);

static inline bool request_is_uring(fuse_req_t req)
{
	return fuse_req_is_uring(req);
}
#else
static inline void rings_choose(struct fuse_conn_info *conn, bool wanted)
{
	(void)conn, (void)wanted;
}

static inline void *ring_memory(fuse_req_t req, size_t n)
{
	(void)req, (void)n;
	return NULL;
}

static inline void uring_disable_cancel(void)
{
}

static inline bool request_is_uring(fuse_req_t req)
{
	(void)req;
	return false;
}
#endif

#endif
