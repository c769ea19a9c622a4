/* SPDX-License-Identifier: MIT */
#include "tree/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "util/path_dir.h"

/* Opens a directory, or that of the image's name.  Where the name is a link, backing files are
 * found from the name's directory, not from that of the file. */
static int open_source_dir(struct source *s, const char *path, bool single)
{
	struct path_dir p;
	int r = single ? path_dir_open(&p, path) : path_dir_open_self(&p, path, O_PATH);

	s->dir = p.dir;
	s->only = p.name;
	s->dirfd = p.fd;
	return r;
}

static int open_single(struct source *s, const char *path, bool covered)
{
	int r = open_source_dir(s, path, true);

	if (r)
		return r;
	if (!covered)
		return 0;
	s->pinned = open(path, O_PATH | O_CLOEXEC);
	return s->pinned < 0 ? -errno : 0;
}

static int note_given_path(struct source *s, const char *path)
{
	char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (*path == '/')
		s->as_given = strndup(path, n);
	else if (!cwd || asprintf(&s->as_given, "%s/%.*s", cwd, (int)n, path) < 0)
		s->as_given = NULL;
	free(cwd);
	return s->as_given ? 0 : -ENOMEM;
}

int source_open(struct source *s, const char *source, const char *mountpoint, bool follow)
{
	struct stat st, mnt;
	int r;

	*s = (struct source){ .dirfd = -1, .pinned = -1, .follow = follow };
	if (stat(source, &st))
		return -errno;
	if (stat(mountpoint, &mnt))
		memset(&mnt, 0, sizeof(mnt));
	s->covered_dev = mnt.st_dev;
	s->covered_ino = mnt.st_ino;
	if (S_ISDIR(st.st_mode))
		r = open_source_dir(s, source, false);
	else
		r = open_single(s, source,
				st.st_dev == mnt.st_dev && st.st_ino == mnt.st_ino);
	if (!r && !s->only)
		r = note_given_path(s, source);
	if (r)
		source_close(s);
	return r;
}

void source_close(struct source *s)
{
	if (s->dirfd >= 0)
		close(s->dirfd);
	if (s->pinned >= 0)
		close(s->pinned);
	free(s->dir);
	free(s->only);
	free(s->as_given);
	*s = (struct source){ .dirfd = -1, .pinned = -1 };
}

/* Reading changes the access time; opening does not. */
static int keep_access_time(const struct source *s, int fd, int flags)
{
	if (s->traceless && fd >= 0 && !(flags & O_PATH))
		qc_set_noatime(s->traceless, fd);
	return fd;
}

/* Opens a path with a link that is absolute, if it leads back into SOURCE. */
static int open_by_real_path(const struct source *s, const char *path, int flags)
{
	size_t n = strlen(s->dir);
	char *full, *real = NULL;
	int fd = -1;

	if (asprintf(&full, "%s/%s", s->dir, path) >= 0) {
		real = realpath(full, NULL);
		free(full);
	}
	if (real && !strncmp(real, s->dir, n) && real[n] == '/')
		fd = qc_open_beneath(s->dirfd, real + n + 1, flags);
	else
		errno = real ? EXDEV : errno;
	free(real);
	return fd;
}

int source_open_path(const struct source *s, const char *path, int flags)
{
	int fd;

	if (!*path)
		path = ".";
	if (s->pinned >= 0 && !strcmp(path, s->only))
		fd = flags & O_PATH ? fcntl(s->pinned, F_DUPFD_CLOEXEC, 0) :
				      qc_reopen(s->pinned, flags);
	else if (s->only || s->follow)
		fd = openat(s->dirfd, path, flags | O_CLOEXEC);
	else
		fd = qc_open_beneath(s->dirfd, path, flags);
	if (fd < 0 && errno == EXDEV && !(flags & O_NOFOLLOW))
		fd = open_by_real_path(s, path, flags);
	return keep_access_time(s, fd < 0 ? -errno : fd, flags);
}

static bool can_be_image(const struct source *s, mode_t mode)
{
	return S_ISREG(mode) || (s->only && S_ISBLK(mode));
}

int source_open_image(const struct source *s, const char *path)
{
	int at = source_open_path(s, path, O_PATH), fd;
	struct stat st;

	if (at < 0)
		return at;
	if (fstat(at, &st) || !can_be_image(s, st.st_mode))
		fd = -EMEDIUMTYPE;
	else
		fd = qc_reopen(at, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -1)
		fd = -errno;
	close(at);
	return keep_access_time(s, fd, O_RDONLY);
}

bool source_is_readonly(const struct source *s)
{
	struct statvfs st;

	if (!s->only) {
		errno = EROFS;
		return !fstatvfs(s->dirfd, &st) && st.f_flag & ST_RDONLY;
	}
	return faccessat(s->dirfd, s->only, W_OK, AT_EACCESS);
}
