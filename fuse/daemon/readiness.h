/* SPDX-License-Identifier: MIT */
/*
 * readiness.h - tells who waits that the mount stands: a line on a descriptor
 * (-o ready-fd), and a datagram to the service manager ($NOTIFY_SOCKET).
 *
 * All is opened before anything is mounted, so that later a write(2) is enough.
 */
#ifndef READINESS_H
#define READINESS_H

#include <stdbool.h>

struct ready {
	int fd;	    /* -1: nobody waits there */
	int socket; /* -1: no service manager */
};

/* Whether something can be written to that descriptor; says so if not. */
bool readiness_fd_is_good(int fd);

void readiness_open(struct ready *r, int fd);
void readiness_notify(struct ready *r);
void readiness_stopping(struct ready *r); /* and closes all */

#endif
