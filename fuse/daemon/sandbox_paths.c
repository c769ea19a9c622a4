/* SPDX-License-Identifier: MIT */
/*
 * sandbox_paths.c - whoever makes the daemon open files in another place, says so here.
 *
 * Folders, not files: what is replaced by rename(2) is another file.
 */
#include "daemon/sandbox_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum landlock_use image_use(const struct options *o)
{
	return o->ro || o->cow ? LANDLOCK_READ : LANDLOCK_WRITE;
}

/* The folder of a path that is given whole. */
static int allow_folder_of(struct sandbox *s, const char *path, enum landlock_use use)
{
	char *copy = strdup(path);
	int r = copy ? sandbox_allow(s, dirname(copy), use) : -ENOMEM;

	free(copy);
	return r;
}

static bool is_among_devices(const struct source *src)
{
	struct stat dir, dev;

	return !fstat(src->dirfd, &dir) && !stat("/dev", &dev) && dir.st_dev == dev.st_dev;
}

/* The folder of SOURCE; and if that is a link, the folder to which it leads.  In
 * /dev, the one device. */
static int allow_source(struct sandbox *s, const struct options *o, const struct source *src)
{
	char *path = NULL, *real;
	int fd, r;

	if (!src->only || !is_among_devices(src)) {
		r = sandbox_allow_fd(s, src->dirfd, image_use(o));
		if (r || !src->only)
			return r;
	}
	fd = source_open_path(src, src->only, O_PATH);
	if (fd < 0)
		return fd;
	r = sandbox_allow_fd(s, fd, image_use(o));
	close(fd);
	if (!r && asprintf(&path, "%s/%s", src->dir, src->only) < 0)
		r = -ENOMEM;
	if (r)
		return r;
	real = realpath(path, NULL);
	if (real && strcmp(real, path) && !is_among_devices(src))
		r = allow_folder_of(s, real, image_use(o));
	free(real);
	free(path);
	return r;
}

/* The new names of backing-map; a data file may be there, too. */
static int allow_map(struct sandbox *s, const struct options *o, const struct qc_path_map *map)
{
	enum landlock_use use = o->data_file ? image_use(o) : LANDLOCK_READ;
	struct stat st;
	int r;

	if (!stat(map->new_prefix, &st) && !S_ISDIR(st.st_mode))
		r = allow_folder_of(s, map->new_prefix, use);
	else
		r = sandbox_allow(s, map->new_prefix, use);
	return r == -ENOENT ? 0 : r;
}

/* libfuse makes a ring for each of them, and the kernel wants no less; and asks which
 * memory is near. */
static int allow_processors(struct sandbox *s)
{
	static const char path[] = "/sys/devices/system";

	return access(path, R_OK) ? 0 : sandbox_allow(s, path, LANDLOCK_READ);
}

int sandbox_paths_collect(struct sandbox *s, const struct options *o, const struct source *src,
		int overlays)
{
	int r;

	s->write = !o->ro;
	s->noatime = o->forensic;
	s->io_uring = o->io_uring;
	r = allow_source(s, o, src);
	for (size_t i = 0; !r && i < o->npath_maps; i++)
		r = allow_map(s, o, &o->path_maps[i]);
	if (!r && overlays >= 0)
		r = sandbox_allow_fd(s, overlays, LANDLOCK_WRITE);
	if (!r && o->key_file && *o->key_file) /* it is read again when an image is opened */
		r = allow_folder_of(s, o->key_file, LANDLOCK_READ);
	if (!r && o->key_dir)
		r = sandbox_allow(s, o->key_dir, LANDLOCK_READ);
	if (!r && o->refs == QC_REFS_ANY) /* as it says; still nothing is executed or made */
		r = sandbox_allow(s, "/", image_use(o));
	if (!r && !access("/dev/fuse", F_OK)) /* each worker has a descriptor of its own */
		r = sandbox_allow(s, "/dev/fuse", LANDLOCK_DEVICE);
	if (!r && o->io_uring)
		r = allow_processors(s);
	return r;
}
