/* SPDX-License-Identifier: MIT */
/*
 * mount.h - mount a session, and find out why that failed, in one line.
 *
 * libfuse and fusermount3 report several lines about their attempts.  This module finds the
 * missing thing (device, permission, helper program) and says what to do about it.
 */
#ifndef MOUNT_H
#define MOUNT_H

#include <stdbool.h>

struct fuse_session;
struct options;

/* Mounts the session on @mountpoint.  Returns false after a message. */
bool mount_session(struct fuse_session *session, const char *mountpoint, const struct options *o);

#endif
