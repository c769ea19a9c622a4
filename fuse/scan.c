/* SPDX-License-Identifier: MIT */
/*
 * scan.c - all entries of a folder are looked at, but only those into that were
 * not known, or have changed since.
 *
 * New images are added in the byte order of their names, since the first of
 * two gets the short one.
 */
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct found {
	char *file;
	bool folder;
	struct identity id;
};

struct scan {
	struct tree *t;
	struct node *folder;
	int dirfd;
	char *path; /* of the folder, with a slash unless it is the root */
	struct found *new;
	size_t n, room;
};

static int remember(struct scan *s, const char *file, bool folder, const struct identity *id)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 64;
		struct found *more = realloc(s->new, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		s->new = more;
		s->room = room;
	}
	s->new[s->n] = (struct found){ strdup(file), folder, *id };
	return s->new[s->n++].file ? 0 : -ENOMEM;
}

static bool looks_like_image(struct scan *s, const char *file)
{
	char *path;
	bool yes;
	int fd;

	if (asprintf(&path, "%s%s", s->path, file) < 0)
		return false;
	fd = source_open_image(s->t->src, path);
	free(path);
	yes = fd >= 0 && qc_is_image(fd);
	if (fd >= 0)
		close(fd);
	return yes;
}

static struct node *find_kind(const struct scan *s, const char *file, bool folder)
{
	struct node *n = node_find_file(s->folder, file);

	return n && n->folder == folder ? n : NULL;
}

static int scan_file(struct scan *s, const char *file, const struct stat *st)
{
	struct identity id = identity_of(st);
	struct node *n = find_kind(s, file, false);

	if (n && !n->gone && same_content(&n->checked, &id)) {
		n->seen = s->folder->scans;
		return 0;
	}
	if (!looks_like_image(s, file))
		return 0;
	if (!n)
		return remember(s, file, false, &id);
	if (!same_file(&n->checked, &id))
		return node_replace(s->t, n, &id);
	n->checked = id;
	n->seen = s->folder->scans;
	return 0;
}

static int scan_folder(struct scan *s, const char *file, const struct stat *st)
{
	struct identity id = identity_of(st);
	struct node *n = find_kind(s, file, true);

	if (!n)
		return remember(s, file, true, &id);
	n->seen = s->folder->scans;
	return 0;
}

static int scan_entry(struct scan *s, const struct dirent *e, dev_t dev)
{
	const struct source *src = s->t->src;
	struct stat st;

	if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
		return 0;
	/* Not even looked at: this is where we are mounted. */
	if (e->d_ino == src->covered_ino && dev == src->covered_dev)
		return 0;
	if (fstatat(s->dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISDIR(st.st_mode))
		return scan_folder(s, e->d_name, &st);
	/* To follow a link changes its access time. */
	if (S_ISLNK(st.st_mode) && src->traceless)
		return 0;
	/* A link to a file, unless it leads out; links to folders could go round
	 * in circles. */
	if (S_ISLNK(st.st_mode) && fstatat(s->dirfd, e->d_name, &st, 0))
		return 0;
	return S_ISREG(st.st_mode) ? scan_file(s, e->d_name, &st) : 0;
}

static int read_folder(struct scan *s, DIR *d)
{
	struct dirent *e;
	struct stat st;

	if (fstat(s->dirfd, &st))
		return -errno;
	while (errno = 0, (e = readdir(d))) {
		int r = scan_entry(s, e, st.st_dev);

		if (r)
			return r;
	}
	return -errno;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->file, ((const struct found *)b)->file);
}

static int add_one(struct scan *s, const struct found *f)
{
	struct node *former = f->folder ? NULL : node_find_former(s->folder, f->file);

	if (former)
		return node_replace(s->t, former, &f->id);
	return node_add(s->t, s->folder, f->file, f->folder, &f->id);
}

static int add_new(struct scan *s)
{
	int r = 0;

	if (s->n)
		qsort(s->new, s->n, sizeof(*s->new), by_name);
	/* Folders first: their names are what they are. */
	for (int folders = 1; folders >= 0; folders--)
		for (size_t i = 0; !r && i < s->n; i++)
			if (s->new[i].folder == folders)
				r = add_one(s, &s->new[i]);
	return r;
}

static void mark_gone(const void *p, VISIT which, void *folder)
{
	struct node *n = *(struct node *const *)p;

	if (which == postorder || which == leaf)
		n->gone = n->seen != ((struct node *)folder)->scans;
}

int tree_scan(struct tree *t, struct node *folder)
{
	struct scan s = { .t = t, .folder = folder, .dirfd = -1 };
	char *path = node_path(folder);
	int fd, r = -ENOMEM;
	DIR *d = NULL;

	folder->scans++;
	if (path && asprintf(&s.path, "%s%s", path, *path ? "/" : "") >= 0) {
		fd = source_open_path(t->src, path, O_RDONLY | O_DIRECTORY);
		d = fd < 0 ? NULL : fdopendir(fd);
		r = fd < 0 ? fd : d ? 0 : -errno;
	}
	if (!r) {
		s.dirfd = dirfd(d);
		r = read_folder(&s, d);
	}
	if (!r)
		r = add_new(&s);
	if (!r)
		twalk_r(folder->by_shown, mark_gone, folder);
	if (d)
		closedir(d);
	for (size_t i = 0; i < s.n; i++)
		free(s.new[i].file);
	free(s.new);
	free(s.path);
	free(path);
	return r;
}
