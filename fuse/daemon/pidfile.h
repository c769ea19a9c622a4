/* SPDX-License-Identifier: MIT */
/*
 * pidfile.h - a file with the process id of the daemon (-o pid-file).
 *
 * It is locked (flock) for as long as the daemon lives, so what a killed one left is
 * told from what another one uses, and is written anew.
 */
#ifndef PIDFILE_H
#define PIDFILE_H

struct pidfile {
	int fd;	   /* -1: there is none */
	int dirfd; /* of its folder, which may be mounted over */
	char *name;
};

/* Says why if it fails.  A file that holds anything else than a process id is not
 * touched. */
int pidfile_write(struct pidfile *p, const char *path);
void pidfile_remove(struct pidfile *p);

#endif
