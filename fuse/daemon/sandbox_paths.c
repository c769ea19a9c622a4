/* SPDX-License-Identifier: MIT */
/*
 * sandbox_paths.c - rules are for directories, not for files: a file that rename(2) replaces is
 * another file, and a rule for the old one would not allow it.
 */
#include "daemon/sandbox_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/path_dir.h"

static enum landlock_use image_use(const struct options *o)
{
	return o->ro || o->cow ? LANDLOCK_READ : LANDLOCK_WRITE;
}

static enum landlock_use source_use(const struct options *o)
{
	return o->create && !o->ro ? LANDLOCK_CREATE : image_use(o);
}

/* Allows the directory of a file; if the file is a symbolic link, also that of its target. */
static int allow_dir_of_file(struct sandbox *s, const char *path, enum landlock_use use)
{
	char *real = realpath(path, NULL);
	const char *each[] = { path, real };
	int r = 0;

	for (int i = 0; !r && i < 2 && each[i]; i++) {
		struct path_dir where;

		r = path_dir_open(&where, each[i]);
		if (!r)
			r = sandbox_allow_fd(s, where.fd, use);
		path_dir_close(&where);
	}
	free(real);
	return r;
}

static bool is_among_devices(const struct source *src)
{
	struct stat dir, dev;

	return !fstat(src->dirfd, &dir) && !stat("/dev", &dev) && dir.st_dev == dev.st_dev;
}

/* Allows the directory of SOURCE, and if SOURCE is a symbolic link, that of its target.  In /dev
 * allows only the one device. */
static int allow_source(struct sandbox *s, const struct options *o, const struct source *src)
{
	char *path = NULL;
	int fd, r;

	if (!src->only || !is_among_devices(src)) {
		r = sandbox_allow_fd(s, src->dirfd, src->only ? image_use(o) : source_use(o));
		if (r || !src->only)
			return r;
	}
	fd = source_open_path(src, src->only, O_PATH);
	if (fd < 0)
		return fd;
	r = sandbox_allow_fd(s, fd, image_use(o));
	close(fd);
	if (r || is_among_devices(src))
		return r;
	if (asprintf(&path, "%s/%s", src->dir, src->only) < 0)
		return -ENOMEM;
	r = allow_dir_of_file(s, path, image_use(o));
	free(path);
	return r;
}

/* Allows the new prefix of -o backing-map.  A data file may be there, too. */
static int allow_map(struct sandbox *s, const struct options *o, const struct qc_path_map *map)
{
	enum landlock_use use = o->data_file ? image_use(o) : LANDLOCK_READ;
	struct stat st;
	int r;

	if (!stat(map->new_prefix, &st) && !S_ISDIR(st.st_mode))
		r = allow_dir_of_file(s, map->new_prefix, use);
	else
		r = sandbox_allow(s, map->new_prefix, use);
	return r == -ENOENT ? 0 : r;
}

/* Allows the path after "=" of -o data-file=NAME=PATH, wherever that begins. */
static int allow_data_file(struct sandbox *s, const struct options *o)
{
	int r = 0;

	for (const char *p = o->data_file; !r && p && (p = strstr(p, "=/")); p++)
		r = allow_dir_of_file(s, p + 1, image_use(o));
	return r == -ENOENT ? 0 : r;
}

/* Allows to read the list of processors: libfuse makes an io_uring queue for each of them, in
 * memory that is near. */
static int allow_processors(struct sandbox *s)
{
	static const char path[] = "/sys/devices/system";

	return access(path, R_OK) ? 0 : sandbox_allow(s, path, LANDLOCK_READ);
}

int sandbox_paths_collect(struct sandbox *s, const struct options *o, const struct source *src,
			  int overlays, bool overlays_have_names)
{
	int r;

	s->write = !o->ro;
	s->create = (o->create && !o->ro) || overlays_have_names;
	s->noatime = o->forensic;
	s->io_uring = o->io_uring;
	r = allow_source(s, o, src);
	for (size_t i = 0; !r && i < o->npath_maps; i++)
		r = allow_map(s, o, &o->path_maps[i]);
	if (!r)
		r = allow_data_file(s, o);
	if (!r && overlays >= 0)
		r = sandbox_allow_fd(s, overlays, overlays_have_names ? LANDLOCK_CREATE : LANDLOCK_WRITE);
	if (!r && o->key_file && *o->key_file) /* read again when an image is opened */
		r = allow_dir_of_file(s, o->key_file, LANDLOCK_READ);
	if (!r && o->key_dir)
		r = sandbox_allow(s, o->key_dir, LANDLOCK_READ);
	if (!r && o->damage_dir)
		r = sandbox_allow(s, o->damage_dir, LANDLOCK_READ);
	if (!r && o->refs == QC_REFS_ANY) /* any file; still none may be executed or created */
		r = sandbox_allow(s, "/", image_use(o));
	if (!r && !access("/dev/fuse", F_OK)) /* each worker thread opens it */
		r = sandbox_allow(s, "/dev/fuse", LANDLOCK_DEVICE);
	if (!r && o->io_uring)
		r = allow_processors(s);
	return r;
}
