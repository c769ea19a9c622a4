/* SPDX-License-Identifier: MIT */
/*
 * io_uring.h - requests that come through io_uring queues, where libfuse supports that.
 *
 * There is one queue for each processor, and one thread that serves the requests of this queue
 * one after the other.  That thread must also send the replies, for two reasons.  libfuse
 * reads a request once more after its reply was sent, when the next request may have the
 * same memory.  And libfuse fills the queue without the lock that other threads would take.
 * So a request of a queue never waits in the request limit (request_limit.h).
 */
#ifndef IO_URING_H
#define IO_URING_H

#include <stdbool.h>
#include <stddef.h>

#include "ops/fuse_api.h"

#ifdef HAVE_RINGS
/* Asks the kernel for io_uring queues, or not, and overrides libfuse's environment variable.
 * Logs a warning if the kernel has none, or libfuse is not safe.  Requests then come from /dev/fuse. */
void io_uring_configure(struct fuse_conn_info *conn, bool wanted);

/* Returns the memory that a reply of n bytes to this request is sent from: data that is
 * read into this memory need not be copied.  NULL if the request has none, or too little. */
void *io_uring_reply_buffer(fuse_req_t req, size_t n);

/* Keeps the calling thread from being cancelled.  libfuse ends the thread of a queue by
 * pthread_cancel(3), even while this thread serves a request.  A write would be cut in two
 * then, and locks would stay taken.  A thread that called this function ends later, since
 * libfuse also sets a flag. */
void io_uring_disable_cancel(void);

static inline bool io_uring_has_request(fuse_req_t req)
{
	return fuse_req_is_uring(req);
}
#else
static inline void io_uring_configure(struct fuse_conn_info *conn, bool wanted)
{
	(void)conn, (void)wanted;
}

static inline void *io_uring_reply_buffer(fuse_req_t req, size_t n)
{
	(void)req, (void)n;
	return NULL;
}

static inline void io_uring_disable_cancel(void)
{
}

static inline bool io_uring_has_request(fuse_req_t req)
{
	(void)req;
	return false;
}
#endif

#endif
