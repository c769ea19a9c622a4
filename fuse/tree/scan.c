/* SPDX-License-Identifier: MIT */
/*
 * scan.c - every entry of a directory is checked by stat(2); only entries that are new or have
 * changed are opened.
 *
 * Opening a file may take long, or hang.  So tree.lock is not held then, and lookups of known
 * names go on.  dir.lock makes scans of a directory follow each other.
 *
 * New images are added in the byte order of their file names: of two that would get one name,
 * the first gets the short one.
 */
#include "tree/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow_array.h"
#include "tree/backing_path.h"
#include "tree/name.h"

/* A new entry. */
struct found {
	char *file;
	bool is_dir, is_link;
	struct identity id;
	struct image_paths paths; /* of an image */
};

struct scan {
	struct tree *t;
	struct node *dir;
	int dirfd;
	char *path; /* of the directory, with a slash unless it is the root */
	struct found *new;
	size_t n, room;
	struct no_images no_images; /* found by this scan */
	bool quick; /* looks for other entries than those that have a name */
};

/* Consumes f.paths. */
static int add_found(struct scan *s, const char *file, struct found f)
{
	if (array_reserve(&s->new, &s->room, s->n + 1, sizeof(*s->new))) {
		backing_path_free(&f.paths);
		return -ENOMEM;
	}
	f.file = strdup(file);
	s->new[s->n++] = f;
	return f.file ? 0 : -ENOMEM;
}

/* ---- one file ------------------------------------------------------------- */

enum verdict { NO_IMAGE, IMAGE, UNREADABLE };

/* Reads the magic, and the names of files that the image needs if the mount could change those.
 * Returns a verdict; -errno if descriptors or memory are short. */
static int examine_file(struct scan *s, const char *file, struct image_paths *paths)
{
	char *path;
	int fd, r;

	*paths = (struct image_paths){ 0 };
	if (asprintf(&path, "%s%s", s->path, file) < 0)
		return -ENOMEM;
	fd = source_open_image(s->t->src, path);
	if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
		r = fd;
	else if (fd < 0)
		r = fd == -ENOENT || fd == -EMEDIUMTYPE ? NO_IMAGE : UNREADABLE;
	else
		r = qc_is_image(fd) ? IMAGE : NO_IMAGE;
	if (r == IMAGE && backing_path_is_needed(s->t))
		backing_path_read(s->t, s->path, fd, paths);
	if (fd >= 0)
		close(fd);
	free(path);
	return r;
}

/* Whether the file is known to be an image, and has not changed since its magic was read. */
static bool is_known_image(struct scan *s, const char *file, const struct identity *id)
{
	struct name *nm;
	bool known;

	pthread_mutex_lock(&s->t->lock);
	nm = name_find_file(s->dir, file, false);
	known = nm && !nm->gone && identity_same_content(&nm->checked, id);
	if (known)
		nm->scan = s->dir->dir.scan;
	pthread_mutex_unlock(&s->t->lock);
	return known;
}

/* An image that cannot be opened any more is still listed; other files are not. */
static void keep_unreadable(struct scan *s, const char *file, const struct identity *id)
{
	struct name *nm;

	pthread_mutex_lock(&s->t->lock);
	nm = name_find_file(s->dir, file, false);
	if (nm && !nm->gone && identity_same_file(&nm->checked, id))
		nm->scan = s->dir->dir.scan;
	pthread_mutex_unlock(&s->t->lock);
}

/* An image: its name is brought up to date, or is noted as new. */
static int note_image(struct scan *s, const char *file, bool is_link, const struct identity *id,
		      struct image_paths paths)
{
	struct name *nm;
	int r;

	pthread_mutex_lock(&s->t->lock);
	nm = name_find_file(s->dir, file, false);
	if (nm) {
		r = name_set_image(s->t, nm, is_link, id);
		if (!r)
			backing_path_set(s->t, nm->node, paths);
		else
			backing_path_free(&paths);
	} else {
		r = add_found(s, file, (struct found){ .is_link = is_link, .id = *id,
						       .paths = paths });
	}
	pthread_mutex_unlock(&s->t->lock);
	return r;
}

static int scan_file(struct scan *s, const char *file, bool is_link, const struct stat *st)
{
	struct identity id = identity_of(st);
	struct image_paths paths = { 0 };
	int r;

	if (is_known_image(s, file, &id))
		return 0;
	r = NO_IMAGE;
	if (!no_images_contain(&s->dir->dir.no_images, s->t->seed, &id))
		r = examine_file(s, file, &paths);
	if (r == IMAGE)
		return note_image(s, file, is_link, &id, paths);
	if (r == UNREADABLE)
		keep_unreadable(s, file, &id);
	if (r == NO_IMAGE && identity_times_reliable(&id))
		no_images_add(&s->no_images, s->t->seed, &id);
	return r < 0 ? r : 0;
}

/* ---- the directory -------------------------------------------------------- */

/* Whether the entry is a directory that has a name already. */
static bool is_known_subdir(struct scan *s, const char *file)
{
	struct name *nm;
	bool known;

	pthread_mutex_lock(&s->t->lock);
	nm = name_find_file(s->dir, file, true);
	known = nm && nm->node;
	if (known) {
		nm->scan = s->dir->dir.scan;
		nm->gone = false;
	}
	pthread_mutex_unlock(&s->t->lock);
	return known;
}

static int scan_subdir(struct scan *s, const char *file, const struct stat *st)
{
	if (is_known_subdir(s, file))
		return 0;
	return add_found(s, file, (struct found){ .is_dir = true, .id = identity_of(st) });
}

/* Whether the entry is an image that has a name already, by its inode number.  So a directory in
 * which images come and go by the thousand is scanned without a stat(2) of each. */
static bool is_known_entry(struct scan *s, const struct dirent *e)
{
	struct name *nm;
	bool known;

	pthread_mutex_lock(&s->t->lock);
	nm = name_find_file(s->dir, e->d_name, false);
	known = nm && !nm->gone && !nm->is_link && nm->node->image.id.ino == e->d_ino;
	if (known)
		nm->scan = s->dir->dir.scan;
	pthread_mutex_unlock(&s->t->lock);
	return known;
}

/* Whether a directory is the scanned one or above it: a link to it would make a circle. */
static bool leads_upwards(const struct scan *s, const struct stat *st)
{
	const struct node *dir = s->dir;

	while ((dir->dir.dev != st->st_dev || dir->dir.ino != st->st_ino) && dir->parent != dir)
		dir = dir->parent;
	return dir->dir.dev == st->st_dev && dir->dir.ino == st->st_ino;
}

static int scan_entry(struct scan *s, const struct dirent *e, dev_t dev)
{
	const struct source *src = s->t->src;
	struct stat st;
	bool is_link;

	if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
		return 0;
	/* The mountpoint of this very mount: a stat(2) would ask ourselves. */
	if (e->d_ino == src->covered_ino && dev == src->covered_dev)
		return 0;
	/* Without a stat(2): another file system may be mounted there, and hang. */
	if (e->d_type == DT_DIR && is_known_subdir(s, e->d_name))
		return 0;
	if (s->quick && e->d_type == DT_REG && is_known_entry(s, e))
		return 0;
	if (fstatat(s->dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISDIR(st.st_mode))
		return scan_subdir(s, e->d_name, &st);
	is_link = S_ISLNK(st.st_mode);
	/* Following a link changes its access time. */
	if (is_link && src->traceless)
		return 0;
	if (is_link && fstatat(s->dirfd, e->d_name, &st, 0))
		return 0;
	/* Links to files are followed; those to directories where SOURCE may be left. */
	if (S_ISDIR(st.st_mode))
		return src->follow && !leads_upwards(s, &st) ? scan_subdir(s, e->d_name, &st) : 0;
	return S_ISREG(st.st_mode) ? scan_file(s, e->d_name, is_link, &st) : 0;
}

static int scan_entries(struct scan *s, DIR *d, const struct stat *dir)
{
	struct dirent *e;

	while (errno = 0, (e = readdir(d))) {
		int r = scan_entry(s, e, dir->st_dev);

		if (r)
			return r;
	}
	return -errno;
}

/* ---- from entries to names ------------------------------------------------ */

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->is_dir != y->is_dir) /* directories first: they keep their names as they are */
		return y->is_dir - x->is_dir;
	return strcmp(x->file, y->file);
}

static int publish_found(struct scan *s, struct found *f)
{
	struct name *nm;
	int r;

	if (f->is_dir)
		return name_add_dir(s->t, s->dir, f->file, &f->id);
	r = name_add_image(s->t, s->dir, f->file, f->is_link, &f->id, &nm);
	if (r)
		return r;
	backing_path_set(s->t, nm->node, f->paths);
	f->paths = (struct image_paths){ 0 };
	return 0;
}

static void check_seen(struct name *nm, void *t)
{
	if (nm->file && nm->scan != nm->dir->dir.scan)
		name_set_gone(t, nm);
}

static int publish_scan(struct scan *s)
{
	int r = 0;

	if (s->n)
		qsort(s->new, s->n, sizeof(*s->new), compare_found);
	pthread_mutex_lock(&s->t->lock);
	for (size_t i = 0; !r && i < s->n; i++)
		r = publish_found(s, &s->new[i]);
	if (!r)
		name_for_each(s->dir, check_seen, s->t);
	pthread_mutex_unlock(&s->t->lock);
	return r;
}

static int open_scanned_dir(struct scan *s, DIR **out)
{
	char *path = name_path_of_dir(s->t, s->dir);
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

static void free_scan(struct scan *s, DIR *d)
{
	if (d)
		closedir(d);
	for (size_t i = 0; i < s->n; i++) {
		free(s->new[i].file);
		backing_path_free(&s->new[i].paths);
	}
	free(s->new);
	free(s->path);
	no_images_free(&s->no_images);
}

/* Whether the directory is as it was before the last scan.  dir.lock is held. */
static bool is_unchanged(const struct node *dir, const struct identity *now)
{
	return dir->dir.scanned_reliable && identity_same_content(&dir->dir.scanned, now);
}

enum scan_kind { SCAN_ALL, SCAN_FOR_NEW, SCAN_IF_CHANGED };

static int scan_locked(struct tree *t, struct node *dir, enum scan_kind kind)
{
	struct scan s = { .t = t, .dir = dir, .quick = kind != SCAN_ALL && tree_makes_files(t) };
	struct identity id;
	struct stat st;
	DIR *d;
	int r = open_scanned_dir(&s, &d);

	if (!r) {
		s.dirfd = dirfd(d);
		r = fstat(s.dirfd, &st) ? -errno : 0;
	}
	if (!r) {
		id = identity_of(&st);
		if (kind == SCAN_IF_CHANGED && is_unchanged(dir, &id)) {
			free_scan(&s, d);
			return 0;
		}
		dir->dir.scan++;
		dir->dir.scanned_reliable = false;
		r = scan_entries(&s, d, &st);
	}
	if (!r)
		r = publish_scan(&s);
	if (!r) {
		struct no_images old = dir->dir.no_images;

		dir->dir.no_images = s.no_images;
		s.no_images = old;
		dir->dir.scanned = id;
		dir->dir.scanned_reliable = identity_times_reliable(&id);
	}
	free_scan(&s, d);
	return r;
}

static int lock_and_scan(struct tree *t, struct node *dir, enum scan_kind kind)
{
	int r;

	pthread_mutex_lock(&dir->dir.lock);
	r = scan_locked(t, dir, kind);
	pthread_mutex_unlock(&dir->dir.lock);
	return r;
}

int tree_scan(struct tree *t, struct node *dir)
{
	return lock_and_scan(t, dir, SCAN_ALL);
}

int tree_scan_for_new(struct tree *t, struct node *dir)
{
	return lock_and_scan(t, dir, SCAN_FOR_NEW);
}

int tree_scan_if_changed(struct tree *t, struct node *dir)
{
	int r;

	if (pthread_mutex_trylock(&dir->dir.lock))
		return -EBUSY;
	r = scan_locked(t, dir, SCAN_IF_CHANGED);
	pthread_mutex_unlock(&dir->dir.lock);
	return r;
}

/* A list of directories, which live as long as the tree. */
struct dir_list {
	struct node **at;
	size_t n, room;
};

static void add_subdir(struct name *nm, void *arg)
{
	struct dir_list *l = arg;

	if (nm->is_dir && !nm->gone && nm->node &&
	    !array_reserve(&l->at, &l->room, l->n + 1, sizeof(*l->at)))
		l->at[l->n++] = nm->node;
}

void tree_scan_all(struct tree *t)
{
	struct dir_list l = { 0 };
	struct node *dir = t->root;

	for (size_t i = 0; dir; i++) {
		tree_scan_if_changed(t, dir);
		pthread_mutex_lock(&t->lock);
		name_for_each(dir, add_subdir, &l);
		pthread_mutex_unlock(&t->lock);
		dir = i < l.n ? l.at[i] : NULL;
	}
	free(l.at);
}
