/* SPDX-License-Identifier: MIT */
#include "daemon/pidfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/report.h"

enum { TRIES = 100 }; /* two seconds */

/* Its folder and its name.  -errno. */
static int split(struct pidfile *p, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	int r = 0;

	p->name = strdup(slash ? slash + 1 : path);
	if (!p->name || !dir)
		r = -ENOMEM;
	if (!r) {
		p->dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = p->dirfd < 0 ? -errno : 0;
	}
	free(dir);
	return r;
}

static bool is_still_there(const struct pidfile *p)
{
	struct stat mine, there;

	return !fstat(p->fd, &mine) && !fstatat(p->dirfd, p->name, &there, AT_SYMLINK_NOFOLLOW) &&
	       mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

static int try_open_locked(struct pidfile *p)
{
	int r = 0;

	p->fd = openat(p->dirfd, p->name,
		       O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	if (p->fd < 0)
		return -errno;
	if (flock(p->fd, LOCK_EX | LOCK_NB))
		r = -errno;
	else if (!is_still_there(p)) /* who had it has just removed it */
		r = -EWOULDBLOCK;
	if (r) {
		close(p->fd);
		p->fd = -1;
	}
	return r;
}

/* A daemon that was unmounted, or killed, has it for a moment still. */
static int open_locked(struct pidfile *p)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };
	int r = try_open_locked(p);

	for (int tries = 0; r == -EWOULDBLOCK && tries < TRIES; tries++) {
		nanosleep(&moment, NULL);
		r = try_open_locked(p);
	}
	return r;
}

/* Nothing but a number, as a daemon leaves that was killed. */
static bool may_be_replaced(int fd)
{
	char text[32];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size >= (off_t)sizeof(text))
		return false;
	n = pread(fd, text, sizeof(text), 0);
	for (ssize_t i = 0; i < n; i++)
		if (!isdigit((unsigned char)text[i]) && text[i] != '\n')
			return false;
	return n >= 0;
}

static int fill(int fd)
{
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return -errno;
	return 0;
}

int pidfile_write(struct pidfile *p, const char *path)
{
	const char *why = NULL;
	int r = split(p, path);

	if (!r)
		r = open_locked(p);
	if (r == -EWOULDBLOCK) {
		why = "another qcowfs uses it; give each its own";
	} else if (!r && !may_be_replaced(p->fd)) {
		r = -EEXIST;
		why = "it holds something else than a process id, and is left alone; name another";
	}
	if (r && p->fd >= 0) { /* not ours to remove */
		close(p->fd);
		p->fd = -1;
	}
	if (!r)
		r = fill(p->fd);
	if (r)
		report(QC_LOG_ERROR, "pid-file: %s: %s%s", path, why ? why : strerror(-r),
		       why ? "" : qc_errno_hint(r));
	return r;
}

void pidfile_remove(struct pidfile *p)
{
	if (p->fd >= 0) {
		/* Empty, where its folder may not be written any more. */
		if (is_still_there(p) && unlinkat(p->dirfd, p->name, 0) && ftruncate(p->fd, 0))
			report(QC_LOG_WARN, "pid-file: %s: cannot be removed: %s", p->name,
			       strerror(errno));
		close(p->fd);
	}
	if (p->dirfd >= 0)
		close(p->dirfd);
	free(p->name);
	*p = (struct pidfile){ .fd = -1, .dirfd = -1 };
}
