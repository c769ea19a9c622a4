/* SPDX-License-Identifier: MIT */
/*
 * libfuse_log.h - messages of libfuse, in the log of this program.
 *
 * While the daemon starts, libfuse may log several lines about one failure, but a user is
 * to get one.  So they are collected until the mount is ready, and the last one, which is the
 * most specific, becomes the reason in the message of the caller.
 */
#ifndef LIBFUSE_LOG_H
#define LIBFUSE_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* Takes over the messages, and collects them. */
void libfuse_log_collect(void);

/* Writes the last collected message, without the name of its program, or "". */
void libfuse_log_last(char *out, size_t room);

/* Returns true if libfuse has logged that its workers share one descriptor of /dev/fuse. */
bool libfuse_log_shares_fd(void);

/* Reports each later message at once. */
void libfuse_log_pass_on(void);

#endif
