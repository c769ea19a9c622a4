/* SPDX-License-Identifier: MIT */
/*
 * mount.h - the mount itself; and if it fails, why, in one line.
 *
 * libfuse and fusermount3 say what they tried, in several lines; what is missing,
 * and what to do about it, is found out here.
 */
#ifndef MOUNT_H
#define MOUNT_H

#include <stdbool.h>

struct fuse_session;
struct options;

/* What libfuse says goes to the log, as one's own messages do. */
void mount_take_log(void);

/* False if it failed; it has said why. */
bool mount_session(struct fuse_session *session, const char *mountpoint, const struct options *o);

#endif
