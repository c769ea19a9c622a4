/* SPDX-License-Identifier: MIT */
/*
 * server.h - what the kernel asks, and where the answer comes from.
 */
#ifndef SERVER_H
#define SERVER_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "ops/readahead.h"
#include "tree/tree.h"
#include "ops/request_limit.h"

enum { MAX_IO = 1 << 20 };

/* The argument of the session. */
struct server {
	struct tree *tree;
	struct fuse_session *session;
	bool direct_io, ro;
	bool rings; /* to be asked for */
	struct request_limit turns;
	struct readahead ahead;
	struct server_count {
		_Alignas(64) _Atomic uint64_t reads, bytes;
	} count[16]; /* of some worker threads each, so that none waits for another */
	pthread_mutex_t handles_lock;
	struct open_file *handles; /* handles_lock; open files */
	uint64_t closes_begun, closes_ended; /* handles_lock; of images */
	pthread_cond_t close_ended;
	atomic_uint opens;	       /* files and folders open now */
	_Atomic int64_t idle_since;    /* CLOCK_MONOTONIC seconds, while opens is 0 */
};

extern const struct fuse_lowlevel_ops server_ops;

/* Closes what is still open when the loop has ended: the kernel does not tell
 * of files that were open when the mount went, or were closed just before. */
void open_files_close_all(struct server *s);

#endif
