/* SPDX-License-Identifier: MIT */
#include "daemon/readiness.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "util/report.h"

bool readiness_fd_is_good(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_ACCMODE) != O_RDONLY && !(flags & O_PATH))
		return true;
	report(QC_LOG_ERROR, "ready-fd: %d: %s", fd,
	       flags < 0 ? "no such descriptor is open (open it for qcowfs, as with 3>ready in a shell)" :
			   "the descriptor is not open for writing");
	return false;
}

/* Connects to a socket: a path, or an abstract name with @ before it.  Return: a descriptor;
 * -errno. */
static int connect_to_socket(const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	int fd;

	if ((*name != '/' && *name != '@') || len < 2)
		return -EAFNOSUPPORT;
	if (len >= sizeof(to.sun_path))
		return -ENAMETOOLONG;
	memcpy(to.sun_path, name, len);
	if (*name == '@')
		to.sun_path[0] = 0;
	else
		len++; /* a path ends with its NUL, an abstract name does not */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len))) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

void readiness_open(struct readiness *r, int fd)
{
	const char *name = getenv("NOTIFY_SOCKET");

	r->fd = fd;
	if (fd > STDERR_FILENO) /* fusermount3 does not get it */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	r->socket = name && *name ? connect_to_socket(name) : -1;
	if (name && *name && r->socket < 0) {
		report(QC_LOG_WARN, "NOTIFY_SOCKET %s: cannot notify the service manager: %s", name,
		       strerror(-r->socket));
		r->socket = -1;
	}
}

static void write_notice(int fd, const char *text, const char *receiver)
{
	ssize_t n;

	if (fd < 0)
		return;
	do {
		n = write(fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		report(QC_LOG_WARN, "%s: cannot notify it: %s", receiver, strerror(errno));
}

void readiness_notify(struct readiness *r)
{
	char text[80];

	/* The service manager may know only the parent of this process. */
	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\n", (int)getpid());
	write_notice(r->socket, text, "the service manager");
	write_notice(r->fd, "ready\n", "ready-fd");
	if (r->fd > STDERR_FILENO)
		close(r->fd);
	r->fd = -1;
}

void readiness_end(struct readiness *r)
{
	write_notice(r->socket, "STOPPING=1\n", "the service manager");
	if (r->socket >= 0)
		close(r->socket);
	r->socket = -1;
}
