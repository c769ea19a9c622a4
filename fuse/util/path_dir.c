/* SPDX-License-Identifier: MIT */
#include "util/path_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Splits @path into the two strings of *@p.  dirname() and basename() change their argument. */
static int split_path(struct path_dir *p, const char *path)
{
	char *copy = strdup(path), *other = strdup(path);
	int r = 0;

	if (!copy || !other) {
		r = -ENOMEM;
	} else {
		p->name = strdup(basename(other));
		p->dir = realpath(dirname(copy), NULL);
		if (!p->dir)
			r = -errno;
		else if (!p->name)
			r = -ENOMEM;
	}
	free(copy);
	free(other);
	return r;
}

/* Opens p->dir; @r is the error of the steps before. */
static int open_split(struct path_dir *p, int flags, int r)
{
	if (!r) {
		p->fd = open(p->dir, flags | O_DIRECTORY | O_CLOEXEC);
		r = p->fd < 0 ? -errno : 0;
	}
	if (r)
		path_dir_close(p);
	return r;
}

int path_dir_open_as(struct path_dir *p, const char *path, int flags)
{
	*p = PATH_DIR_NONE;
	return open_split(p, flags, split_path(p, path));
}

int path_dir_open(struct path_dir *p, const char *path)
{
	return path_dir_open_as(p, path, O_PATH);
}

int path_dir_open_self(struct path_dir *p, const char *path, int flags)
{
	*p = PATH_DIR_NONE;
	p->dir = realpath(path, NULL);
	return open_split(p, flags, p->dir ? 0 : -errno);
}

void path_dir_close(struct path_dir *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->dir);
	free(p->name);
	*p = PATH_DIR_NONE;
}
