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

int path_dir_open(struct path_dir *p, const char *path)
{
	int r;

	*p = PATH_DIR_NONE;
	r = split_path(p, path);
	if (!r) {
		p->fd = open(p->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		r = p->fd < 0 ? -errno : 0;
	}
	if (r)
		path_dir_close(p);
	return r;
}

void path_dir_close(struct path_dir *p)
{
	if (p->fd >= 0)
		close(p->fd);
	free(p->dir);
	free(p->name);
	*p = PATH_DIR_NONE;
}
