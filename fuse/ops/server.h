/* SPDX-License-Identifier: MIT */
/*
 * server.h - the state that all callbacks share.
 *
 * The daemon fills a struct server before the session starts, and libfuse hands it to every
 * callback.  The kernel's number of a node is its inode number, which stays the same when the daemon
 * is started again.  So file handles, as an NFS server keeps them, stay valid.
 */
#ifndef SERVER_H
#define SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ops/fuse_api.h"
#include "ops/cluster_writer.h"
#include "ops/io_uring.h"
#include "ops/readahead.h"
#include "ops/request_limit.h"
#include "ops/shared_pages.h"
#include "tree/node_find.h"
#include "tree/tree.h"

enum { MAX_IO = 1 << 20 }; /* bytes of the largest read and of the largest write */

struct server {
	struct tree *tree;
	struct fuse_session *session;
	bool direct_io, ro;
	bool compress; /* whole clusters are stored compressed */
	struct cluster_writer cluster_writer;
	bool shares_writes; /* two files can be written and show the same bytes */
	bool direct_maps;  /* files that the kernel does not cache can be mapped */
	bool has_xattrs;   /* files have extended attributes (xattr_ops.c) */
	bool io_uring; /* ask the kernel for io_uring queues */
	void (*ready)(void *arg); /* called once, with the first request of the kernel; NULL */
	void *ready_arg;
	struct request_limit limit;
	struct shared_pages pages;
	struct readahead ahead;
	struct server_count {
		_Alignas(64) _Atomic uint64_t reads, bytes;
	} count[16]; /* each used by some of the worker threads, to spread the cache lines */
	pthread_mutex_t open_files_lock;
	struct open_file *open_files; /* open_files_lock */
	uint64_t closes_begun, closes_ended; /* open_files_lock; closes of images */
	pthread_cond_t close_ended; /* of CLOCK_MONOTONIC */
	atomic_uint truncating;	       /* files that are open with O_TRUNC */
	atomic_uint opens;	       /* files and folders open now */
	_Atomic int64_t idle_since;    /* CLOCK_MONOTONIC seconds, while opens is 0 */
};

/* Returns the server of a request.  Every callback needs its server.  So this function also
 * keeps libfuse from ending the thread before the request is done. */
static inline struct server *server_of(fuse_req_t req)
{
	io_uring_disable_cancel();
	return fuse_req_userdata(req);
}

/* Returns the node of a number that the kernel has a reference of. */
static inline struct node *node_of(fuse_req_t req, fuse_ino_t ino)
{
	struct tree *t = server_of(req)->tree;

	return ino == FUSE_ROOT_ID ? tree_root(t) : node_find(t, ino);
}

static inline fuse_ino_t ino_of(fuse_req_t req, struct node *n)
{
	return n == tree_root(server_of(req)->tree) ? FUSE_ROOT_ID : node_ino(n);
}

/* Replies with an error.  `r` is -errno, or 0 for success. */
static inline void reply_err(fuse_req_t req, int r)
{
	fuse_reply_err(req, -r);
}

#endif
