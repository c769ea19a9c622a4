/* SPDX-License-Identifier: MIT */
/*
 * external_file.c - opens the files that an image names, if the user allows it.
 *
 *	1  find_target(): path maps and policy choose the directory from which the
 *	   name is looked up, and whether the path must stay below it
 *	2  open_target_file(): the kernel looks the path up, and enforces that
 */
#include "io/external_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/backing_name.h"

/* The file that a name means: `path`, looked up from the directory `base`. */
struct target {
	int base;
	bool close_base;
	char *base_path;
	const char *path;
	bool beneath; /* the path must not leave the directory */
	bool device;  /* a block device will do */
};

qc_err qc_file_location_of(const struct qc_image_location *src, struct qc_file_location *out,
			   struct qc_reason *why)
{
	struct stat st;

	*out = QC_FILE_LOCATION_NONE;
	if (fstat(src->fd, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return qc_fail(why, -EMEDIUMTYPE, "not a regular file");
	out->fd = qc_reopen(src->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	out->dirfd = out->fd < 0 ? -1 : fcntl(src->dirfd, F_DUPFD_CLOEXEC, 0);
	if (out->dirfd < 0)
		return qc_fail_errno(why, -errno, NULL);
	out->dir = strdup(src->dir);
	out->name = strdup(src->name);
	return out->dir && out->name ? 0 : qc_fail(why, -ENOMEM, "out of memory");
}

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

static int open_from_base(const struct target *t, const char *path, int flags)
{
	if (!*path)
		path = ".";
	if (t->beneath)
		return qc_open_beneath(t->base, path, flags);
	return openat(t->base, path, flags | O_CLOEXEC);
}

/* ---- name -> target ------------------------------------------------------- */

/* Compares letters only.  If @path is @dir or below it, returns the rest of the path,
 * else NULL. */
static const char *path_below(const char *path, const char *dir)
{
	size_t n = strcmp(dir, "/") ? strlen(dir) : 0;

	if (strncmp(path, dir, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + strspn(path + n, "/");
}

static char *join_path(const char *dir, const char *name)
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

/* Returns true if directory @dir is @top or below it, by any path. */
static bool is_dir_below(int dir, int top)
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
			break; /* at the root */
		here = parent;
	}
	if (at >= 0)
		close(at);
	return found;
}

/* Handles a name that does not begin with the path of the image's directory, or has "..".
 * The name may still lead below that directory: through a symbolic link above it, or down
 * again.  -EXDEV if it does not. */
static qc_err find_indirect_target(const char *name, const struct qc_file_location *from,
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
	dir = up ? join_path(from->dir, up) : NULL;
	fd = dir ? open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0)
		r = dir ? -errno : -ENOMEM;
	else if (!is_dir_below(fd, from->dirfd))
		r = -EXDEV;
	if (r) {
		free(dir);
		if (fd >= 0)
			close(fd);
		return r;
	}
	*t = (struct target){ .base = fd, .close_base = true, .base_path = dir, .path = slash + 1,
			      .beneath = true };
	return 0;
}

/* Returns true if a component of the path is "..". */
static bool has_dotdot(const char *path)
{
	for (; path; path = strchr(path, '/')) {
		path += strspn(path, "/");
		if (!strncmp(path, "..", 2) && (!path[2] || path[2] == '/'))
			return true;
	}
	return false;
}

/* Applies a path map: the target is below, or is, the new prefix. */
static qc_err find_mapped_target(const struct qc_path_map *map, const char *rest, struct target *t)
{
	const char *slash = strrchr(map->new_prefix, '/');
	bool whole = !*rest; /* the map is of a file, not of a directory */

	t->base_path = whole ? strndup(map->new_prefix, (size_t)(slash - map->new_prefix)) :
			       strdup(map->new_prefix);
	if (!t->base_path)
		return -ENOMEM;
	t->base = open(*t->base_path ? t->base_path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	t->close_base = true;
	t->path = whole ? slash + 1 : rest;
	t->beneath = true;
	return t->base < 0 ? -errno : 0;
}

static qc_err find_target(const struct qc_external_policy *policy,
			  const struct qc_file_location *from, const char *name, struct target *t)
{
	const char *rest;

	*t = (struct target){ .base = -1 };
	for (size_t i = 0; i < policy->npath_maps; i++) {
		rest = path_below(name, policy->path_maps[i].old_prefix);
		if (rest)
			return find_mapped_target(&policy->path_maps[i], rest, t);
	}
	rest = *name == '/' ? path_below(name, from->dir) : name;
	if (policy->refs == QC_REFS_SAMEDIR && (!rest || has_dotdot(rest)))
		return find_indirect_target(name, from, t);
	*t = (struct target){
		.base = from->dirfd,
		.base_path = strdup(rest ? from->dir : ""),
		.path = rest ? rest : name,
		.beneath = policy->refs == QC_REFS_SAMEDIR,
	};
	return t->base_path ? 0 : -ENOMEM;
}

static void close_target(struct target *t)
{
	if (t->close_base && t->base >= 0)
		close(t->base);
	free(t->base_path);
}

/* ---- target -> file ------------------------------------------------------ */

/* Opens a regular file, or a block device if the target may be one.  Else returns -EMEDIUMTYPE, or
 * -ENOTBLK for a block device.  Checks the type before it opens the file for reading: to open a
 * device may have an effect, and to open a fifo may block. */
static qc_err open_regular_file(const struct target *t, int *out)
{
	struct stat before, after;
	int fd = open_from_base(t, t->path, O_PATH);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &before) || !(S_ISREG(before.st_mode) || S_ISBLK(before.st_mode)) ||
	    (S_ISBLK(before.st_mode) && !t->device)) {
		close(fd);
		return S_ISBLK(before.st_mode) ? -ENOTBLK : -EMEDIUMTYPE;
	}
	close(fd);
	fd = open_from_base(t, t->path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &after) || !same_file(&before, &after)) {
		close(fd);
		return -EMEDIUMTYPE;
	}
	*out = fd;
	return 0;
}

/* Opens the file and its directory. */
static qc_err open_target_file(const struct target *t, struct qc_file_location *out)
{
	const char *slash = strrchr(t->path, '/');
	AUTO_FREE char *sub = slash ? strndup(t->path, (size_t)(slash - t->path) + 1) : strdup("");
	qc_err r = sub ? open_regular_file(t, &out->fd) : -ENOMEM;

	if (r)
		return r;
	out->dirfd = open_from_base(t, sub, O_PATH | O_DIRECTORY);
	if (out->dirfd < 0)
		return -errno;
	out->dir = join_path(t->base_path, sub);
	out->name = strdup(slash ? slash + 1 : t->path);
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

static bool is_mapped(const struct qc_external_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->npath_maps; i++)
		if (path_below(name, policy->path_maps[i].old_prefix))
			return true;
	return false;
}

/* Refuses a name that is no path of this system. */
static qc_err check_is_path(const struct qc_external_policy *policy, const char *what,
			    const char *name, struct qc_reason *why)
{
	if (!is_url(name) || is_mapped(policy, name))
		return 0;
	if (qc_backing_name_has_drive(name))
		return qc_fail(why, -EACCES, "%s '%s' is a path of Windows (backing-map=%.2s/OLD:NEW says "
			       "where its folder is here)", what, name, name);
	return qc_fail(why, -EACCES, "%s '%s' is not a path (only files are opened; a file name with "
		       "a colon needs ./ before it)", what, name);
}

static qc_err fail_external_file(const char *what, const char *name, qc_err r,
				 struct qc_reason *why)
{
	switch (r) {
	case -EXDEV:
		return qc_fail(why, -EACCES,
			       "%s '%s' is outside of the image's folder (backing=any allows it)",
			       what, name);
	case -ENOTBLK:
		return qc_fail(why, -EACCES, "%s '%s' is a block device (backing=any allows one as "
			       "backing file)", what, name);
	case -EMEDIUMTYPE:
		return qc_fail(why, -EACCES, "%s '%s' is not a regular file", what, name);
	default:
		return qc_fail(why, r, "cannot open %s '%s': %s%s", what, name, strerror(-r),
				 r == -ENOENT ? " (backing-map=OLD:NEW finds moved files)" :
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
	r = check_is_path(policy, what, name, why);
	if (r)
		return r;
	if (policy->refs == QC_REFS_NONE)
		return qc_fail(why, -EACCES,
			       "cannot open %s '%s': backing=none forbids it (backing=samedir or "
			       "backing=any allows it)", what, name);
	r = find_target(policy, from, name, &t);
	t.device = policy->refs == QC_REFS_ANY && !strcmp(what, "backing file");
	if (!r)
		r = open_target_file(&t, out);
	close_target(&t);
	if (!r)
		return 0;
	qc_file_location_close(out);
	return fail_external_file(what, name, r, why);
}
