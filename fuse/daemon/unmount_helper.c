/* SPDX-License-Identifier: MIT */
/*
 * unmount_helper.c - why a second process: root unmounts by umount2(2), other users through
 * fusermount3, which is setuid; and the sandbox forbids the daemon both, as well as removing
 * files.
 *
 * Unmounting is lazy, as in libfuse.  The daemon replaces its descriptor of /dev/fuse before:
 * unmounting would otherwise send it requests that it does not answer any more.
 */
#include "daemon/unmount_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/helper_process.h"
#include "ops/fuse_api.h"
#include "util/report.h"

static const char NAME[] = "qcowfs-unmount";

enum helper_request { REQUEST_UNMOUNT = 'u', REQUEST_UNMOUNT_UNUSED = 'i', REQUEST_REMOVE = 'r' };

/* ---- unmounting ------------------------------------------------------------------ */

/* Unmounts and exits, with status 0 on success. */
static void unmount_and_exit(const char *mountpoint, enum unmount_mode mode)
{
	bool lazily = mode == UNMOUNT_LAZILY;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (!umount2(mountpoint, UMOUNT_NOFOLLOW | (lazily ? MNT_DETACH : 0)))
		_exit(0);
	if (errno == EBUSY)
		_exit(1);
	dup2(null, STDERR_FILENO);
	execlp("fusermount3", "fusermount3", lazily ? "-uqz" : "-uq", "--", mountpoint, NULL);
	_exit(1);
}

bool unmount_helper_run(const char *mountpoint, enum unmount_mode mode)
{
	pid_t child = fork();
	int status = -1;

	if (!child)
		unmount_and_exit(mountpoint, mode);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* Returns true if the daemon of a mount is gone.  Opens it, since attributes may be cached. */
static bool is_abandoned(const char *mountpoint)
{
	int fd = open(mountpoint, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

/* ---- the helper ------------------------------------------------------------------ */

static bool obey_request(char request, const char *mountpoint, struct pidfile *p)
{
	switch (request) {
	case REQUEST_UNMOUNT:
		return unmount_helper_run(mountpoint, UNMOUNT_LAZILY);
	case REQUEST_UNMOUNT_UNUSED:
		return unmount_helper_run(mountpoint, UNMOUNT_IF_UNUSED);
	case REQUEST_REMOVE:
		pidfile_remove(p);
		return true;
	default:
		return false;
	}
}

/* Serves requests until the daemon closes the socket, and exits. */
static void run_helper(int sock, const char *mountpoint, bool killed, struct pidfile *p, char **argv)
{
	int keep[] = { sock, p->fd, p->where.fd };
	char request, done;

	helper_process_begin(argv, NAME, keep, sizeof(keep) / sizeof(*keep));
	if (write(sock, "", 1) != 1)
		_exit(1);
	while (read(sock, &request, 1) == 1) {
		done = obey_request(request, mountpoint, p);
		if (write(sock, &done, 1) != 1)
			break;
	}
	if (killed && is_abandoned(mountpoint))
		unmount_helper_run(mountpoint, UNMOUNT_LAZILY);
	_exit(0);
}

/* ---- the daemon ------------------------------------------------------------------ */

static void close_helper_fds(struct unmount_helper *u)
{
	close(u->socket);
	close(u->dead);
}

/* Makes the socket pair and the pipe; *@other is the end of the helper. */
static int make_helper_fds(struct unmount_helper *u, int *other)
{
	int ends[2], dead[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	if (pipe2(dead, O_CLOEXEC)) {
		r = -errno;
		close(ends[0]);
		close(ends[1]);
		return r;
	}
	close(dead[0]);
	*other = ends[0];
	u->socket = ends[1];
	u->dead = dead[1];
	return 0;
}

int unmount_helper_start(struct unmount_helper *u, const char *mountpoint, bool killed,
			 struct pidfile *p, char **argv)
{
	int other = -1, r = make_helper_fds(u, &other);
	pid_t pid;
	char ready;

	if (r)
		return r;
	pid = fork();
	r = pid < 0 ? -errno : 0;
	if (!pid)
		run_helper(other, mountpoint, killed, p, argv);
	close(other);
	if (!r && read(u->socket, &ready, 1) != 1) {
		waitpid(pid, NULL, 0);
		r = -EIO; /* a signal has killed it */
	}
	if (r)
		close_helper_fds(u);
	else
		u->pid = pid;
	return r;
}

/* Sends a request and waits until it is done.  Returns false if it failed, or the helper is gone.
 * (The daemon ignores SIGPIPE while it is mounted.) */
static bool send_request(const struct unmount_helper *u, enum helper_request request)
{
	char byte = (char)request, done = 0;

	if (write(u->socket, &byte, 1) != 1)
		return false;
	while (read(u->socket, &done, 1) < 0 && errno == EINTR)
		;
	return done;
}

/* Returns false if another program has unmounted the session. */
static bool is_connected(int fuse_fd)
{
	struct pollfd p = { .fd = fuse_fd };

	return poll(&p, 1, 0) != 1 || !(p.revents & POLLERR);
}

void unmount_helper_unmount(struct unmount_helper *u, struct fuse_session *session)
{
	int fd = fuse_session_fd(session);
	bool connected = is_connected(fd);

	/* libfuse polls this descriptor, too.  POLLERR tells it that the connection is over, so it
	 * does not try to unmount. */
	dup2(u->dead, fd);
	if (connected && !send_request(u, REQUEST_UNMOUNT))
		report(QC_LOG_ERROR, "cannot unmount (fusermount3 -u or umount will)");
	fuse_session_unmount(session);
}

bool unmount_helper_unmount_unused(struct unmount_helper *u)
{
	return u->pid && send_request(u, REQUEST_UNMOUNT_UNUSED);
}

void unmount_helper_end(struct unmount_helper *u, struct pidfile *p)
{
	int status;

	if (!u->pid)
		return;
	signal(SIGPIPE, SIG_IGN);
	if (p->fd >= 0 && send_request(u, REQUEST_REMOVE)) {
		close(p->fd);
		p->fd = -1; /* nothing is left to remove */
	}
	close_helper_fds(u);
	while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR)
		;
	u->pid = 0;
}
