/* SPDX-License-Identifier: MIT */
/*
 * scan.c - all entries of a folder are looked at, but only those into that were
 * not known, or have changed since.
 *
 * To look at a file may take long, or for ever: the folder's lock is not held then,
 * and names that are known can be found meanwhile.  One scan of a folder at a time.
 *
 * New images are added in the byte order of their names, since the first of
 * two gets the short one.
 */
#include "tree/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/* 1 or 0; -errno if that cannot be known now, though nothing is wrong with the file. */
static int looks_like_image(struct scan *s, const char *file)
{
	char *path;
	bool yes;
	int fd;

	if (asprintf(&path, "%s%s", s->path, file) < 0)
		return -ENOMEM;
	fd = source_open_image(s->t->src, path);
	free(path);
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		return fd;
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

/* Whether it is known, and has not changed since. */
static bool is_known(struct scan *s, const char *file, const struct identity *id)
{
	struct node *n;
	bool known;

	pthread_mutex_lock(&s->folder->lock);
	n = find_kind(s, file, false);
	known = n && !n->gone && identity_same_content(&n->checked, id);
	if (known)
		n->seen = s->folder->scans;
	pthread_mutex_unlock(&s->folder->lock);
	return known;
}

static int update(struct scan *s, const char *file, const struct identity *id)
{
	struct node *n;
	int r = 0;

	pthread_mutex_lock(&s->folder->lock);
	n = find_kind(s, file, false);
	if (!n) {
		r = remember(s, file, false, id);
	} else if (!identity_same_file(&n->checked, id)) {
		r = node_replace(s->t, n, id);
	} else {
		/* Not which file it is: others read that without our lock. */
		n->checked.size = id->size;
		n->checked.mtime = id->mtime;
		n->checked.ctime = id->ctime;
		n->seen = s->folder->scans;
	}
	pthread_mutex_unlock(&s->folder->lock);
	return r;
}

static int scan_file(struct scan *s, const char *file, const struct stat *st)
{
	struct identity id = identity_of(st);
	int r;

	if (is_known(s, file, &id))
		return 0;
	r = looks_like_image(s, file);
	return r == 1 ? update(s, file, &id) : r;
}

static int scan_folder(struct scan *s, const char *file, const struct stat *st)
{
	struct identity id = identity_of(st);
	struct node *n;

	pthread_mutex_lock(&s->folder->lock);
	n = find_kind(s, file, true);
	if (n)
		n->seen = s->folder->scans;
	pthread_mutex_unlock(&s->folder->lock);
	return n ? 0 : remember(s, file, true, &id);
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

static void mark_gone(struct node *n, void *folder)
{
	n->gone = n->seen != ((struct node *)folder)->scans;
}

/* What was found becomes what the folder has. */
static int publish(struct scan *s)
{
	int r;

	pthread_mutex_lock(&s->folder->lock);
	r = add_new(s);
	if (!r)
		node_each(s->folder->by_shown, mark_gone, s->folder);
	pthread_mutex_unlock(&s->folder->lock);
	return r;
}

static int open_folder(struct scan *s, DIR **out)
{
	char *path = node_path(s->folder);
	int fd, r = -ENOMEM;

	*out = NULL;
	if (path && asprintf(&s->path, "%s%s", path, *path ? "/" : "") >= 0) {
		fd = source_open_path(s->t->src, path, O_RDONLY | O_DIRECTORY);
		*out = fd < 0 ? NULL : fdopendir(fd);
		r = fd < 0 ? fd : *out ? 0 : -errno;
	}
	free(path);
	return r;
}

int tree_scan(struct tree *t, struct node *folder)
{
	struct scan s = { .t = t, .folder = folder, .dirfd = -1 };
	DIR *d;
	int r;

	pthread_mutex_lock(&folder->scanning);
	folder->scans++;
	r = open_folder(&s, &d);
	if (!r) {
		s.dirfd = dirfd(d);
		r = read_folder(&s, d);
	}
	if (!r)
		r = publish(&s);
	pthread_mutex_unlock(&folder->scanning);
	if (d)
		closedir(d);
	for (size_t i = 0; i < s.n; i++)
		free(s.new[i].file);
	free(s.new);
	free(s.path);
	return r;
}
