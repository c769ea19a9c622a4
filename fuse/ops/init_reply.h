/* SPDX-License-Identifier: MIT */
/*
 * init_reply.h - flags of the reply to FUSE_INIT that an old libfuse has no name for.
 *
 * FUSE_HANDLE_KILLPRIV_V2 came with Linux 5.11, FUSE_DIRECT_IO_ALLOW_MMAP with Linux 6.6.  libfuse
 * tells the kernel of both since 3.17.1.  Before, they are set in the bytes of the reply.
 */
#ifndef INIT_REPLY_H
#define INIT_REPLY_H

#include <stdbool.h>

#include "ops/fuse_api.h"

/* Lets the replies of a mounted session go through this module.  Return: 0; -errno. */
int init_reply_attach(struct fuse_session *session);

/* These set a flag in the reply to the request that this thread serves.  Return false if the kernel
 * has no such flag. */
bool init_reply_allow_direct_maps(struct fuse_conn_info *conn);
bool init_reply_handle_killpriv(struct fuse_conn_info *conn);

#endif
