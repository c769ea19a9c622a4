/* SPDX-License-Identifier: MIT */
/*
 * external_file.c - a name in an image -> an open file, if the user allows that.
 *
 *	name -> target: which folder it starts from, and whether it must stay
 *	below it -> open below it, or anywhere
 */
#include "io/external_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where a name leads: to `rest`, seen from the folder base. */
struct target {
	int base;
	bool base_is_ours; /* to be closed */
	char *base_path;
	const char *rest;
	bool beneath;
};

void qc_file_location_close(struct qc_file_location *p)
{
	if (p->fd >= 0)
		close(p->fd);
	if (p->dirfd >= 0)
		close(p->dirfd);
	free(p->dir);
	free(p->name);
	*p = QC_FILE_LOCATION_NONE;
}

/* ---- opening ---------------------------------------------------------- */

static int open_target(const struct target *t, const char *rest, int flags)
{
	if (!*rest)
		rest = ".";
	if (t->beneath)
		return qc_open_beneath(t->base, rest, flags);
	return openat(t->base, rest, flags | O_CLOEXEC);
}

/* ---- name -> target ------------------------------------------------------- */

/* If path is `dir` or lies below it, by its letters: the rest. */
static const char *below(const char *path, const char *dir)
{
	size_t n = strcmp(dir, "/") ? strlen(dir) : 0;

	if (strncmp(path, dir, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + strspn(path + n, "/");
}

static char *join(const char *dir, const char *name)
{
	char *path;

	if (*name == '/')
		return strdup(name);
	return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether the folder `dir` is `top` or lies below it, however it was reached. */
static bool is_below(int dir, int top)
{
	struct stat want, here, parent;
	int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC), up;
	bool found = false;

	if (at < 0 || fstat(top, &want) || fstat(at, &here)) {
		if (at >= 0)
			close(at);
		return false;
	}
	while (!(found = same_file(&here, &want))) {
		up = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
		close(at);
		at = up;
		if (at < 0 || fstat(at, &parent) || same_file(&parent, &here))
			break; /* the root */
		here = parent;
	}
	if (at >= 0)
		close(at);
	return found;
}

/* A name that does not begin with the path of the image's folder, or that goes
 * up, may lead there all the same, through a link above it, or down again. */
static qc_err roundabout_below(const char *name, const struct qc_file_location *from,
			       struct target *t)
{
	const char *slash = strrchr(name, '/');
	AUTO_FREE char *up = NULL;
	char *dir;
	qc_err r = 0;
	int fd;

	if (!slash)
		return -EMEDIUMTYPE; /* ".." */
	up = slash == name ? strdup("/") : strndup(name, (size_t)(slash - name));
	dir = up ? join(from->dir, up) : NULL;
	fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		r = dir ? -errno : -ENOMEM;
	else if (!is_below(fd, from->dirfd))
		r = -EXDEV;
	if (r) {
		free(dir);
		if (fd >= 0)
			close(fd);
		return r;
	}
	*t = (struct target){ fd, true, dir, slash + 1, true };
	return 0;
}

/* Whether one of the components of the path is "..". */
static bool goes_up(const char *path)
{
	for (; path; path = strchr(path, '/')) {
		path += strspn(path, "/");
		if (!strncmp(path, "..", 2) && (!path[2] || path[2] == '/'))
			return true;
	}
	return false;
}

static qc_err mapped(const struct qc_path_map *map, const char *rest, struct target *t)
{
	const char *slash = strrchr(map->new_prefix, '/');
	bool whole = !*rest; /* the map names the file itself */

	t->base_path = whole ? strndup(map->new_prefix, (size_t)(slash - map->new_prefix)) :
			       strdup(map->new_prefix);
	if (!t->base_path)
		return -ENOMEM;
	t->base = open(*t->base_path ? t->base_path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->base_is_ours = true;
	t->rest = whole ? slash + 1 : rest;
	t->beneath = true;
	return t->base < 0 ? -errno : 0;
}

static qc_err find_target(const struct qc_external_policy *policy, const struct qc_file_location *from,
			  const char *name, struct target *t)
{
	const char *rest;

	*t = (struct target){ .base = -1 };
	for (size_t i = 0; i < policy->npath_maps; i++) {
		rest = below(name, policy->path_maps[i].old_prefix);
		if (rest)
			return mapped(&policy->path_maps[i], rest, t);
	}
	rest = *name == '/' ? below(name, from->dir) : name;
	if (policy->refs == QC_REFS_SAMEDIR && (!rest || goes_up(rest)))
		return roundabout_below(name, from, t);
	*t = (struct target){
		.base = from->dirfd,
		.base_path = strdup(rest ? from->dir : ""),
		.rest = rest ? rest : name,
		.beneath = policy->refs == QC_REFS_SAMEDIR,
	};
	return t->base_path ? 0 : -ENOMEM;
}

static void target_drop(struct target *t)
{
	if (t->base_is_ours && t->base >= 0)
		close(t->base);
	free(t->base_path);
}

/* ---- target -> place ------------------------------------------------------ */

/* -EMEDIUMTYPE if it is not a regular file, which is known before it is opened:
 * opening a device may do something, and opening a fifo may take for ever. */
static qc_err open_regular(const struct target *t, int *out)
{
	struct stat before, after;
	int fd = open_target(t, t->rest, O_PATH);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &before) || !S_ISREG(before.st_mode)) {
		close(fd);
		return -EMEDIUMTYPE;
	}
	close(fd);
	fd = open_target(t, t->rest, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &after) || !same_file(&before, &after)) {
		close(fd);
		return -EMEDIUMTYPE;
	}
	*out = fd;
	return 0;
}

static qc_err open_place(const struct target *t, struct qc_file_location *out)
{
	const char *slash = strrchr(t->rest, '/');
	AUTO_FREE char *sub = slash ? strndup(t->rest, (size_t)(slash - t->rest) + 1) : strdup("");
	qc_err r = sub ? open_regular(t, &out->fd) : -ENOMEM;

	if (r)
		return r;
	out->dirfd = open_target(t, sub, O_PATH | O_DIRECTORY);
	if (out->dirfd < 0)
		return -errno;
	out->dir = join(t->base_path, sub);
	out->name = strdup(slash ? slash + 1 : t->rest);
	if (!out->dir || !out->name)
		return -ENOMEM;
	for (size_t n = strlen(out->dir); n > 1 && out->dir[n - 1] == '/'; n--)
		out->dir[n - 1] = 0;
	return 0;
}

static bool is_url(const char *name)
{
	size_t n = strcspn(name, ":/");

	return name[n] == ':';
}

static qc_err explain(const char *what, const char *name, qc_err r, struct qc_reason *why)
{
	switch (r) {
	case -EXDEV:
		return qc_fail(why, -EACCES,
				 "its %s '%s' is outside of its folder (backing=any allows it)",
				 what, name);
	case -EMEDIUMTYPE:
		return qc_fail(why, -EACCES, "its %s '%s' is not a regular file", what, name);
	default:
		return qc_fail(why, r, "cannot open its %s '%s': %s%s", what, name, strerror(-r),
				 r == -ENOENT ? " (backing-map=OLD:NEW finds what was moved)" :
						qc_errno_hint(r));
	}
}

qc_err qc_open_external_file(const struct qc_external_policy *policy, const char *what,
		const struct qc_file_location *from, const char *name, struct qc_file_location *out,
		struct qc_reason *why)
{
	struct target t;
	qc_err r;

	*out = QC_FILE_LOCATION_NONE;
	if (is_url(name))
		return qc_fail(why, -EACCES,
				 "its %s '%s' is not a path (only files are opened; "
				 "a name with a colon needs ./ before it)", what, name);
	if (policy->refs == QC_REFS_NONE)
		return qc_fail(why, -EACCES,
				 "it needs its %s '%s' (backing=samedir or backing=any allows it)",
				 what, name);
	r = find_target(policy, from, name, &t);
	if (!r)
		r = open_place(&t, out);
	target_drop(&t);
	if (!r)
		return 0;
	qc_file_location_close(out);
	return explain(what, name, r, why);
}
