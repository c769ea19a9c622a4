/* SPDX-License-Identifier: MIT */
/*
 * pidfile.h - a file with the process id of the daemon (-o pid-file).
 *
 * The daemon holds a lock (flock) on it.  So a file without a lock is that of a killed daemon,
 * and is overwritten; one with a lock belongs to another daemon.
 */
#ifndef PIDFILE_H
#define PIDFILE_H

#include "util/path_dir.h"

struct pidfile {
	int fd;		       /* -1: there is none */
	struct path_dir where; /* its path may be covered by the mount */
};

#define PIDFILE_NONE ((struct pidfile){ .fd = -1, .where = { .fd = -1 } })

/* Writes the process id.  A file that holds anything but a process id is left alone.  Return: 0;
 * -errno after a message. */
int pidfile_write(struct pidfile *p, const char *path);

/* Removes the file, if it is still the same.  *@p is PIDFILE_NONE afterwards. */
void pidfile_remove(struct pidfile *p);

#endif
