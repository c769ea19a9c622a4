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
	       flags < 0 ? "no such descriptor is open; open it for qcowfs, as with 3>ready in a shell" :
			   "the descriptor is not open for writing");
	return false;
}

/* A path, or with @ before it an abstract name.  -errno. */
static int connect_to(const char *name)
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

void readiness_open(struct ready *r, int fd)
{
	const char *name = getenv("NOTIFY_SOCKET");

	r->fd = fd;
	if (fd > STDERR_FILENO) /* not for fusermount3 */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	r->socket = name && *name ? connect_to(name) : -1;
	if (name && *name && r->socket < 0) {
		report(QC_LOG_WARN, "NOTIFY_SOCKET %s: the service manager is not told: %s", name,
		       strerror(-r->socket));
		r->socket = -1;
	}
}

static void tell(int fd, const char *text, const char *whom)
{
	ssize_t n;

	if (fd < 0)
		return;
	do {
		n = write(fd, text, strlen(text));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		report(QC_LOG_WARN, "%s: cannot be told: %s", whom, strerror(errno));
}

void readiness_notify(struct ready *r)
{
	char text[80];

	/* The manager may have started the parent of this process. */
	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\n", (int)getpid());
	tell(r->socket, text, "the service manager");
	tell(r->fd, "ready\n", "ready-fd");
	if (r->fd > STDERR_FILENO)
		close(r->fd);
	r->fd = -1;
}

void readiness_stopping(struct ready *r)
{
	tell(r->socket, "STOPPING=1\n", "the service manager");
	if (r->socket >= 0)
		close(r->socket);
	r->socket = -1;
}
