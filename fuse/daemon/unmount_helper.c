/* SPDX-License-Identifier: MIT */
/*
 * unmount_helper.c - root unmounts by umount2(2), others through fusermount3, which is
 * setuid; a process that has given up both needs another one.  So does one that may
 * remove no file any more.
 *
 * Lazily, as libfuse does: the mount goes from the tree at once, and who has a
 * file open gets errors.  The daemon gives its descriptor of /dev/fuse up first,
 * since unmounting would ask it what it answers no more.
 */
#include "daemon/unmount_helper.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/report.h"

static const char NAME[] = "qcowfs-unmount";

enum { UNMOUNT = 'u', REMOVE = 'r' };

/* For ps: this is not the daemon. */
static void rename_self(char **argv)
{
	char *end = argv[0];

	for (size_t i = 0; argv[i] && argv[i] == end; i++)
		end += strlen(end) + 1;
	memset(argv[0], 0, (size_t)(end - argv[0]));
	strncpy(argv[0], NAME, (size_t)(end - argv[0] - 1));
	prctl(PR_SET_NAME, NAME, 0, 0, 0);
}

/* Its end of the pipe, and what the file of the process id needs. */
static void keep_only(int *pipe, struct pidfile *p)
{
	long max = sysconf(_SC_OPEN_MAX);
	int keep[3] = { *pipe, p->fd, p->dirfd }, null = open("/dev/null", O_RDWR);

	for (int std = 0; std <= 2; std++)
		dup2(null, std);
	for (int i = 0; i < 3; i++) /* out of the way, then in a row */
		keep[i] = keep[i] < 0 ? -1 : fcntl(keep[i], F_DUPFD, 16);
	for (int i = 0; i < 3; i++) {
		close(3 + i);
		keep[i] = keep[i] < 0 ? -1 : dup2(keep[i], 3 + i);
	}
	*pipe = keep[0];
	p->fd = keep[1];
	p->dirfd = keep[2];
	if (syscall(SYS_close_range, 6U, ~0U, 0U))
		for (int other = 6; other < max; other++)
			close(other);
}

/* Ends with this process. */
static void unmount(const char *mountpoint)
{
	if (!umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW))
		_exit(0);
	execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", mountpoint, NULL);
	_exit(1);
}

static bool unmount_in_child(const char *mountpoint)
{
	pid_t child = fork();
	int status = -1;

	if (!child)
		unmount(mountpoint);
	while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status == 0;
}

/* A mount whose daemon is gone; its connection may just be ending.  (Attributes the
 * kernel may still know.) */
static bool is_abandoned(const char *mountpoint)
{
	int fd = open(mountpoint, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == ENOTCONN || errno == ECONNABORTED);
}

/* Signals that end the daemon often come to its whole group; it needs us then. */
static void serve(int pipe, const char *mountpoint, bool killed, struct pidfile *p)
{
	char what, done;

	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	setsid();
	keep_only(&pipe, p);
	if (chdir("/") || write(pipe, "", 1) != 1)
		_exit(1);
	while (read(pipe, &what, 1) == 1) {
		done = what == UNMOUNT ? unmount_in_child(mountpoint) : true;
		if (what == REMOVE)
			pidfile_remove(p);
		if (write(pipe, &done, 1) != 1)
			break;
	}
	if (killed && is_abandoned(mountpoint))
		unmount_in_child(mountpoint);
	_exit(0);
}

int unmount_helper_start(struct unmount_helper *u, const char *mountpoint, bool killed, struct pidfile *p,
		    char **argv)
{
	int ask[2], dead[2];
	char ready;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ask))
		return -errno;
	if (pipe2(dead, O_CLOEXEC)) {
		close(ask[0]);
		close(ask[1]);
		return -errno;
	}
	close(dead[0]);
	u->pid = fork();
	if (!u->pid) {
		rename_self(argv);
		serve(ask[0], mountpoint, killed, p);
	}
	close(ask[0]);
	u->ask = ask[1];
	u->dead = dead[1];
	if (u->pid > 0 && read(u->ask, &ready, 1) == 1)
		return 0;
	close(ask[1]);
	close(dead[1]);
	u->pid = 0;
	return -EAGAIN;
}

/* Whether it did that.  (The daemon ignores SIGPIPE while it is mounted.) */
static bool ask_for(const struct unmount_helper *u, char what)
{
	char done = 0;

	if (write(u->ask, &what, 1) != 1)
		return false;
	while (read(u->ask, &done, 1) < 0 && errno == EINTR)
		;
	return done;
}

/* Somebody else may have unmounted it: then what is there now is not ours. */
static bool is_mounted(int fd)
{
	struct pollfd p = { .fd = fd };

	return poll(&p, 1, 0) != 1 || !(p.revents & POLLERR);
}

void unmount_helper_unmount(struct unmount_helper *u, struct fuse_session *session)
{
	int fd = fuse_session_fd(session);
	bool mounted = is_mounted(fd);

	/* What libfuse sees there from now on is a connection that is over, so that
	 * it leaves the mountpoint alone. */
	dup2(u->dead, fd);
	if (mounted && !ask_for(u, UNMOUNT))
		report(QC_LOG_ERROR, "cannot unmount; fusermount3 -u or umount will");
	fuse_session_unmount(session);
}

void unmount_helper_end(struct unmount_helper *u, struct pidfile *p)
{
	int status;

	if (!u->pid)
		return;
	signal(SIGPIPE, SIG_IGN);
	if (p->fd >= 0 && ask_for(u, REMOVE)) {
		close(p->fd);
		p->fd = -1; /* there is nothing left to remove */
	}
	close(u->ask);
	close(u->dead);
	while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR)
		;
	u->pid = 0;
}
