/* SPDX-License-Identifier: MIT */
#include "daemon/unread_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/read_file.h"
#include "util/report.h"

static bool leaves_map_dir(const char *path)
{
	return !strncmp(path, "../", 3) || strstr(path, "/../") || !strcmp(path, "..");
}

/* Reads lab/db.qcow2.map for SOURCE/lab/db.qcow2, or else db.qcow2.map. */
static int read_from_map_dir(const struct unread_maps *m, const char *path, char **text, size_t *len)
{
	size_t n = strlen(m->source->dir);
	const char *slash = strrchr(path, '/');
	const char *names[] = { NULL, slash ? slash + 1 : path };
	int r = -ENOENT;

	if (!strncmp(path, m->source->dir, n) && path[n] == '/' && !leaves_map_dir(path + n + 1))
		names[0] = path + n + 1;
	for (int i = 0; i < 2 && (r == -ENOENT || r == -ENOTDIR); i++) {
		char file[PATH_MAX];

		if (names[i] && snprintf(file, sizeof(file), "%s.map", names[i]) < PATH_MAX)
			r = read_file(m->dirfd, file, text, len);
	}
	return r == -ENOTDIR ? -ENOENT : r;
}

static bool is_source_file(const struct source *s, const char *path)
{
	size_t n = strlen(s->dir);

	return s->only && !strncmp(path, s->dir, n) && path[n] == '/' && !strcmp(path + n + 1, s->only);
}

int unread_maps_get(void *arg, const char *path, char **text, size_t *len)
{
	const struct unread_maps *m = arg;

	if (m->text && is_source_file(m->source, path)) {
		*text = malloc(m->len + 1);
		if (!*text)
			return -ENOMEM;
		memcpy(*text, m->text, m->len);
		*len = m->len;
		return 0;
	}
	return m->dirfd < 0 ? -ENOENT : read_from_map_dir(m, path, text, len);
}

int unread_maps_open(struct unread_maps *m, const struct options *o, const struct source *source)
{
	int r = 0;

	m->source = source;
	if (o->damage)
		r = read_file(AT_FDCWD, o->damage, &m->text, &m->len);
	if (r) {
		report(QC_LOG_ERROR, "damage %s: cannot read it: %s", o->damage, strerror(-r));
		return r;
	}
	if (!o->damage_dir)
		return 0;
	m->dirfd = open(o->damage_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (m->dirfd >= 0)
		return 0;
	r = -errno;
	report(QC_LOG_ERROR, "damage-dir %s: %s", o->damage_dir, strerror(-r));
	return r;
}

void unread_maps_close(struct unread_maps *m)
{
	if (m->dirfd >= 0)
		close(m->dirfd);
	free(m->text);
}
