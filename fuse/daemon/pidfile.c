/* SPDX-License-Identifier: MIT */
#include "daemon/pidfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "util/report.h"

enum { TRIES = 100 }; /* 20 ms apart: two seconds */

/* Returns true if the path still leads to the file that is open. */
static bool is_pidfile_at_path(const struct pidfile *p)
{
	struct stat mine, there;

	return !fstat(p->fd, &mine) && !fstatat(p->where.fd, p->where.name, &there, AT_SYMLINK_NOFOLLOW) &&
	       mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/* Opens and locks the file.  -EWOULDBLOCK: another daemon has it, or has just removed it. */
static int try_lock_pidfile(struct pidfile *p)
{
	int r = 0;

	p->fd = openat(p->where.fd, p->where.name,
		       O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0644);
	if (p->fd < 0)
		return -errno;
	if (flock(p->fd, LOCK_EX | LOCK_NB))
		r = -errno;
	else if (!is_pidfile_at_path(p))
		r = -EWOULDBLOCK;
	if (r) {
		close(p->fd);
		p->fd = -1;
	}
	return r;
}

/* Retries for two seconds: a daemon that was unmounted or killed holds the lock until it ends. */
static int lock_pidfile(struct pidfile *p)
{
	const struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };
	int r = try_lock_pidfile(p);

	for (int tries = 0; r == -EWOULDBLOCK && tries < TRIES; tries++) {
		nanosleep(&moment, NULL);
		r = try_lock_pidfile(p);
	}
	return r;
}

/* Returns true if the file is empty or holds a number, as a killed daemon leaves it. */
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

static int write_process_id(int fd)
{
	if (ftruncate(fd, 0) || dprintf(fd, "%d\n", (int)getpid()) < 0)
		return -errno;
	return 0;
}

int pidfile_write(struct pidfile *p, const char *path)
{
	const char *why = NULL;
	int r = path_dir_open(&p->where, path);

	if (!r)
		r = lock_pidfile(p);
	if (r == -EWOULDBLOCK) {
		why = "another qcowfs uses the file (give each its own)";
	} else if (!r && !may_be_replaced(p->fd)) {
		r = -EEXIST;
		why = "the file holds something else than a process id (name another)";
	}
	if (r && p->fd >= 0) { /* the file of another program: do not remove it */
		close(p->fd);
		p->fd = -1;
	}
	if (!r)
		r = write_process_id(p->fd);
	if (r)
		report(QC_LOG_ERROR, "pid-file: %s: %s%s", path, why ? why : strerror(-r),
		       why ? "" : qc_errno_hint(r));
	return r;
}

void pidfile_remove(struct pidfile *p)
{
	if (p->fd >= 0) {
		/* Truncates it where the sandbox forbids to remove it. */
		if (is_pidfile_at_path(p) && unlinkat(p->where.fd, p->where.name, 0) && ftruncate(p->fd, 0))
			report(QC_LOG_WARN, "pid-file: %s: cannot remove it: %s", p->where.name,
			       strerror(errno));
		close(p->fd);
	}
	path_dir_close(&p->where);
	*p = PIDFILE_NONE;
}
