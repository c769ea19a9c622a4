/* SPDX-License-Identifier: MIT */
/*
 * unmount_helper.h - a process that unmounts for a daemon that may not.
 *
 * It is made before the daemon has opened any image, holds one end of a pipe, and does
 * two things when it is told to: it unmounts the mountpoint, and it removes the file
 * with the daemon's process id.  When the daemon ends without a word, it leaves all as it
 * is, but for a mount that it was to unmount even then.
 */
#ifndef UNMOUNT_HELPER_H
#define UNMOUNT_HELPER_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/pidfile.h"

struct fuse_session;

struct unmount_helper {
	pid_t pid; /* 0: there is none */
	int ask;   /* the pipe to it and back */
	int dead;  /* a pipe that nobody reads */
};

/* The process calls itself qcowfs-unmount, over the arguments of this one.
 * `killed`: it is to unmount also if the daemon is.  -errno. */
int unmount_helper_start(struct unmount_helper *u, const char *mountpoint, bool killed, struct pidfile *p,
		    char **argv);

/* Unmounts what the session has mounted, if it still is, and waits for that.  When
 * it returns libfuse has nothing left to unmount. */
void unmount_helper_unmount(struct unmount_helper *u, struct fuse_session *session);

/* Has the file of the process id removed, and lets the process go; harmless if there is
 * none. */
void unmount_helper_end(struct unmount_helper *u, struct pidfile *p);

#endif
