/* SPDX-License-Identifier: MIT */
/*
 * readiness.h - tell other programs that the mount stands: a line on a descriptor (-o ready-fd),
 * and a datagram to the service manager ($NOTIFY_SOCKET, see sd_notify(3)).
 *
 * Both are opened before the mount, so that in the sandbox a write(2) is enough.
 */
#ifndef READINESS_H
#define READINESS_H

#include <stdbool.h>

struct readiness {
	int fd;	    /* -1: none */
	int socket; /* -1: no service manager */
};

#define READINESS_NONE ((struct readiness){ .fd = -1, .socket = -1 })

/* Returns true if the descriptor is open for writing, else false after a message. */
bool readiness_fd_is_good(int fd);

/* Connects to the service manager.  @fd: of -o ready-fd, or -1. */
void readiness_open(struct readiness *r, int fd);

/* Tells that the mount stands.  May be called from any thread. */
void readiness_notify(struct readiness *r);

/* Tells the service manager that the daemon is ending, and closes everything. */
void readiness_end(struct readiness *r);

#endif
