/* SPDX-License-Identifier: MIT */
/*
 * unmount_helper.h - a process that unmounts for a daemon in the sandbox.
 *
 * It is forked before the daemon opens any image.  It holds one end of a socket pair and obeys
 * three requests of the daemon: unmount, unmount if unused, and remove the pid file.  When the
 * daemon ends without a request, because it was killed, the helper leaves everything as it is,
 * but unmounts if that was asked for (-o auto_unmount).
 */
#ifndef UNMOUNT_HELPER_H
#define UNMOUNT_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/pidfile.h"

struct fuse_session;

struct unmount_helper {
	pid_t pid;  /* 0: there is none */
	int socket; /* to the helper */
	int dead;   /* a pipe without a reader: polling it gives POLLERR */
};

enum unmount_mode {
	UNMOUNT_LAZILY,	   /* at once; processes that use the mount get errors */
	UNMOUNT_IF_UNUSED, /* only if no process has a file or its working directory in it */
};

/* Unmounts in a child process: umount2(2), or else fusermount3.  Returns false if neither can. */
bool unmount_helper_run(const char *mountpoint, enum unmount_mode mode);

/*
 * unmount_helper_start() - fork the helper
 * @killed: unmount also when the daemon ends without a request
 * @p:      the pid file to be removed, or one that is not open
 * @argv:   of main(); overwritten in the helper, which calls itself qcowfs-unmount
 *
 * Return: 0; -errno.
 */
int unmount_helper_start(struct unmount_helper *u, const char *mountpoint, bool killed,
			 struct pidfile *p, char **argv);

/* Unmounts the session lazily, unless another program has unmounted it, and waits for that.
 * libfuse finds nothing to unmount afterwards. */
void unmount_helper_unmount(struct unmount_helper *u, struct fuse_session *session);

/* Unmounts if no process uses the mount.  Returns false if it is in use. */
bool unmount_helper_unmount_unused(struct unmount_helper *u);

/* Removes the pid file and ends the helper.  Does nothing if there is no helper. */
void unmount_helper_end(struct unmount_helper *u, struct pidfile *p);

#endif
