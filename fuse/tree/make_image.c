/* SPDX-License-Identifier: MIT */
#include "tree/make_image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree/name.h"
#include "tree/name_claim.h"
#include "tree/node.h"
#include "tree/tree_fields.h"
#include "tree/new_name.h"
#include "tree/backing_path.h"
#include "util/report.h"

/* A file that is being made. */
struct new_file {
	struct tree *t;
	struct node *dir;
	const char *shown; /* its name in the mount */
	const struct tree_maker *by;
	char *file;    /* its name in the directory of SOURCE */
	char *path;    /* the same, below SOURCE */
	int dirfd, fd; /* -1: not open */
	bool linked;   /* it has its name */
	struct image_paths paths; /* of the files that it needs */
};

static int report_new_file(const struct new_file *f, int r, const char *why)
{
	report(QC_LOG_ERROR, "%s: cannot make the image: %s", f->path ? f->path : f->shown, why);
	return r;
}

/* ---- the file ---------------------------------------------------------------- */

static int open_directory(struct new_file *f)
{
	char *dir;
	int r = new_name_of_image(f->shown, ".qcow2", &f->file);

	if (r)
		return r;
	dir = name_path_of_dir(f->t, f->dir);
	if (!dir || asprintf(&f->path, "%s%s%s", dir, *dir ? "/" : "", f->file) < 0)
		f->path = NULL;
	if (f->path)
		f->dirfd = source_open_path(f->t->src, dir, O_RDONLY | O_DIRECTORY);
	free(dir);
	return !f->path ? -ENOMEM : f->dirfd < 0 ? f->dirfd : 0;
}

static bool has_no_nameless_files(int error)
{
	return error == EOPNOTSUPP || error == EISDIR || error == EINVAL || error == ENOENT;
}

/* The owner may always read and write the file while it is being made. */
static int open_new_file(struct new_file *f)
{
	mode_t mode = f->by->mode | S_IRUSR | S_IWUSR;
	struct stat st;

	f->fd = openat(f->dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (f->fd < 0 && has_no_nameless_files(errno)) {
		f->fd = openat(f->dirfd, f->file, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, mode);
		f->linked = f->fd >= 0;
	}
	if (f->fd < 0)
		return -errno;
	if (geteuid() || f->by->uid == 0)
		return 0;
	/* In a directory with the set-group-ID bit the group is that of the directory. */
	if (fstat(f->dirfd, &st))
		return -errno;
	return fchown(f->fd, f->by->uid, st.st_mode & S_ISGID ? (gid_t)-1 : f->by->gid) ? -errno : 0;
}

/* Gets the passphrase for a new encrypted image. */
static int get_new_passphrase(struct new_file *f, struct qc_create_options *o)
{
	const struct tree_config *c = &f->t->config;
	void *pass = qc_secure_alloc(QC_KEY_MAX);
	char *path;
	int r = -ENOMEM;

	o->passphrase = pass;
	if (pass && asprintf(&path, "%s/%s", f->t->src->dir, f->path) >= 0) {
		r = c->key ? c->key(c->key_arg, path, 0, pass, QC_KEY_MAX, &o->passphrase_len) :
			     -ENOENT;
		free(path);
	}
	return r;
}

static int write_new_file(struct new_file *f, struct qc_create_options *o)
{
	struct qc_reason why = { 0 };
	int r = o->encryption == QC_CREATE_PLAIN ? 0 : get_new_passphrase(f, o);

	if (r == -ENOENT)
		return report_new_file(f, -EACCES,
				       "no passphrase for it (key-file, or its file in key-dir)");
	o->locking = QC_LOCKING_OFF; /* no other program can have it open */
	o->no_sync = true;
	if (!r)
		r = qc_create(f->fd, o, &why);
	qc_secure_free((void *)(uintptr_t)o->passphrase);
	if (r)
		report_new_file(f, r, *why.text ? why.text : strerror(-r));
	return r;
}

/* ---- the name ---------------------------------------------------------------- */

/* Finds out whether the name can lead to the new file.  tree.lock is held. */
static int check_name(const struct new_file *f, const struct identity *id)
{
	const struct name *nm = f->linked ? name_find(f->dir, f->shown) : NULL;

	if (nm && !nm->gone && nm->node->image.id.ino == id->ino)
		return 0; /* a scan has found the new file already */
	return name_claim_check(f->dir, f->shown, f->file);
}

/* Lets the name lead to the file.  tree.lock is held. */
static int publish_name(struct new_file *f, const struct identity *id, struct node **out)
{
	struct name *nm;
	int r = name_claim(f->t, f->dir, f->shown, f->file, id, &nm);

	if (r)
		return r;
	backing_path_set(f->t, nm->node, f->paths);
	f->paths = (struct image_paths){ 0 };
	*out = nm->node;
	node_ref(*out);
	return 0;
}

static int link_new_file(struct new_file *f)
{
	char path[40];

	if (f->linked)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	if (linkat(AT_FDCWD, path, f->dirfd, f->file, AT_SYMLINK_FOLLOW))
		return errno == EEXIST ? -EPERM : -errno;
	f->linked = true;
	return 0;
}

/* Gives the file its name, in SOURCE and in the mount. */
static int publish_new_file(struct new_file *f, struct node **out)
{
	struct identity id;
	struct stat st;
	int r;

	if (fstat(f->fd, &st))
		return -errno;
	id = identity_of(&st);
	pthread_mutex_lock(&f->dir->dir.lock); /* no scan runs */
	pthread_mutex_lock(&f->t->lock);
	r = check_name(f, &id);
	pthread_mutex_unlock(&f->t->lock);
	if (!r)
		r = link_new_file(f);
	if (!r && fstat(f->fd, &st))
		r = -errno;
	id = identity_of(&st);
	pthread_mutex_lock(&f->t->lock);
	if (!r)
		r = publish_name(f, &id, out);
	pthread_mutex_unlock(&f->t->lock);
	if (r && f->linked)
		unlinkat(f->dirfd, f->file, 0);
	pthread_mutex_unlock(&f->dir->dir.lock);
	if (r == -EPERM)
		report_new_file(f, r, "a file of another kind has this name");
	return r;
}

/* ---- all of it ---------------------------------------------------------------- */

static void end_new_file(struct new_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	if (f->dirfd >= 0)
		close(f->dirfd);
	free(f->file);
	free(f->path);
	backing_path_free(&f->paths);
}

static int make_file(struct new_file *f, struct qc_create_options *o, struct node **out)
{
	int r = open_new_file(f);

	if (!r)
		r = write_new_file(f, o);
	if (r && f->linked)
		unlinkat(f->dirfd, f->file, 0);
	return r ? r : publish_new_file(f, out);
}

int make_image_file(struct tree *t, struct node *dir, const char *shown,
		    const struct tree_maker *by, struct qc_create_options *o,
		    struct image_paths *paths, struct node **out)
{
	struct new_file f = { .t = t, .dir = dir, .shown = shown, .by = by, .paths = *paths,
			      .dirfd = -1, .fd = -1 };
	int r = open_directory(&f);

	*paths = (struct image_paths){ 0 };
	if (!r)
		r = make_file(&f, o, out);
	end_new_file(&f);
	return r;
}

int make_image_create(struct tree *t, struct node *dir, const char *shown,
		      const struct tree_maker *by, struct node **out)
{
	struct image_paths none = { 0 };
	struct qc_create_options o;

	if (!tree_makes_files(t))
		return -EROFS;
	o = *t->config.create;
	return make_image_file(t, dir, shown, by, &o, &none, out);
}
