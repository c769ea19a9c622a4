/* SPDX-License-Identifier: MIT */
#include "tree/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree/cow_overlay.h"
#include "tree/base_index.h"
#include "tree/name.h"
#include "util/fd_reserve.h"
#include "util/report.h"

static void set_open_reason(struct qc_reason *why, int r, const char *text)
{
	snprintf(why->text, sizeof(why->text), "%s%s", text, qc_errno_hint(r));
}

/* Opens the file at a path, if it is the image.  Returns a descriptor, or -errno. */
static int open_path(struct tree *t, struct node *image, const char *path, struct qc_reason *why)
{
	int fd = source_open_image(t->src, path);
	struct identity id;
	struct stat st;

	if (fd == -EMEDIUMTYPE) {
		set_open_reason(why, 0, "not a regular file");
		return t->src->only ? -EIO : -ESTALE;
	}
	if (fd < 0) {
		set_open_reason(why, fd, strerror(-fd));
		return fd;
	}
	if (fd_reserve_is_low()) {
		close(fd);
		set_open_reason(why, -EMFILE, strerror(EMFILE));
		return -EMFILE;
	}
	if (t->src->only || fstat(fd, &st))
		return fd;
	id = identity_of(&st);
	if (identity_same_file(&id, &image->image.id))
		return fd;
	close(fd);
	return -ESTALE;
}

/* Opens the file by the first name that leads to it; *path, to be freed, is that.  Returns a
 * descriptor, or the -errno of the last name. */
static int open_by_name(struct tree *t, struct node *image, char **path, struct qc_reason *why)
{
	int r = -ESTALE;

	for (size_t i = 0; (*path = name_path_of_image(t, image, i)); i++) {
		r = open_path(t, image, *path, why);
		if (r >= 0)
			break;
		free(*path);
	}
	return r;
}

/* ---- opening -------------------------------------------------------------- */

/* Opens the image of an open file, through its overlay if `cow`.  The directory of `path` is
 * where its references start. */
static int open_at_fd(struct tree *t, struct node *image, bool cow, const char *path, int fd,
		      unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	const char *slash = strrchr(path, '/');
	char *sub = strndup(path, slash ? (size_t)(slash - path) : 0), *dir = NULL;
	struct qc_image_location src = { .fd = fd, .dirfd = -1,
					 .name = slash ? slash + 1 : path };
	int r = -ENOMEM;

	if (sub && asprintf(&dir, "%s%s%s", t->src->dir, *sub ? "/" : "", sub) >= 0)
		r = src.dirfd = source_open_path(t->src, sub, O_PATH | O_DIRECTORY);
	if (r < 0)
		set_open_reason(why, r, strerror(-r));
	src.dir = dir;
	if (r >= 0)
		r = cow ? cow_overlay_open(t->config.cow, image, &src, flags, out, why) :
			  qc_open(t->ctx, &src, flags, out, why);
	if (src.dirfd >= 0)
		close(src.dirfd);
	free(sub);
	free(dir);
	return r;
}

int image_file_open_headers(struct tree *t, struct node *image, const char *path, int fd,
			    unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	return open_at_fd(t, image, t->config.cow, path, fd, QC_OPEN_HEADERS_ONLY | flags, out, why);
}

/* Returns the error for open(2); the log has the reason. */
static int errno_for_open(int r, const struct qc_reason *why)
{
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	switch (why->cause) {
	case QC_CAUSE_LOCKED:
		return -EBUSY;
	case QC_CAUSE_KEY:
		return -EACCES;
	case QC_CAUSE_READONLY:
		return r;
	case QC_CAUSE_IMAGE:
		break;
	}
	return -EIO;
}

/* Counts an open that begins.  -ESTALE: the image is being removed. */
static int begin_open(struct node *image)
{
	int r;

	pthread_mutex_lock(&image->attr_lock);
	r = image->image.removing ? -ESTALE : 0;
	image->image.opening += !r;
	pthread_mutex_unlock(&image->attr_lock);
	return r;
}

static void end_open(struct node *image)
{
	pthread_mutex_lock(&image->attr_lock);
	image->image.opening--;
	pthread_mutex_unlock(&image->attr_lock);
}

static int open_counted(struct tree *t, struct node *image, bool cow, unsigned int flags,
			struct qc_image **out, struct qc_reason *why)
{
	char *path;
	int fd, r;

	r = flags & QC_OPEN_WRITE ? base_index_check_write(t, image, why) : 0;
	if (r)
		return r;
	fd = open_by_name(t, image, &path, why);
	if (fd < 0)
		return fd;
	r = open_at_fd(t, image, cow, path, fd, flags, out, why);
	close(fd);
	free(path);
	if (r)
		return errno_for_open(r, why);
	/* An overlay may have been made since the check, and its maker has looked for writers. */
	r = flags & QC_OPEN_WRITE && tree_makes_files(t) ? base_index_find_overlay(t, image, why) : 0;
	if (r)
		qc_close(*out);
	else
		atomic_fetch_add(&image->image.opened, 1);
	return r;
}

static int open_unlogged(struct tree *t, struct node *image, bool cow, unsigned int flags,
			 struct qc_image **out, struct qc_reason *why)
{
	int r = begin_open(image);

	*why = (struct qc_reason){ 0 };
	if (r)
		return r;
	r = open_counted(t, image, cow, flags, out, why);
	end_open(image);
	return r;
}

int image_file_begin_removal(struct node *image)
{
	int r = 0;

	pthread_mutex_lock(&image->attr_lock);
	if (image->opens || image->image.opening || image->image.removing)
		r = -EBUSY;
	else
		image->image.removing = true;
	pthread_mutex_unlock(&image->attr_lock);
	return r;
}

void image_file_end_removal(struct node *image)
{
	pthread_mutex_lock(&image->attr_lock);
	image->image.removing = false;
	pthread_mutex_unlock(&image->attr_lock);
}

/* Logs a reason, unless it is the same as the last one. */
static void log_reason(struct tree *t, struct node *image, const struct qc_reason *why)
{
	char *path = name_path_of_image(t, image, 0);
	bool is_new;

	pthread_mutex_lock(&image->attr_lock);
	is_new = !image->image.last_error || strcmp(image->image.last_error, why->text);
	if (is_new) {
		free(image->image.last_error);
		image->image.last_error = strdup(why->text);
	}
	image->image.no_key = why->cause == QC_CAUSE_KEY;
	pthread_mutex_unlock(&image->attr_lock);
	if (is_new)
		report(QC_LOG_ERROR, "%s: %s", path ? path : "image", why->text);
	free(path);
}

static void forget_reason(struct node *image)
{
	pthread_mutex_lock(&image->attr_lock);
	free(image->image.last_error);
	image->image.last_error = NULL;
	image->image.no_key = false;
	image->image.probed = false;
	pthread_mutex_unlock(&image->attr_lock);
}

static int open_logged(struct tree *t, struct node *image, bool cow, unsigned int flags,
		       struct qc_image **out)
{
	struct qc_reason why;
	int r = open_unlogged(t, image, cow, flags, out, &why);

	if (!r) {
		forget_reason(image);
		return 0;
	}
	if (r != -ESTALE)
		log_reason(t, image, &why);
	pthread_mutex_lock(&image->attr_lock);
	image->image.probed = false; /* the size shows the failure, too */
	pthread_mutex_unlock(&image->attr_lock);
	return r;
}

int image_file_open_cow(struct tree *t, struct node *image, unsigned int flags,
			struct qc_image **out)
{
	return open_logged(t, image, t->config.cow, flags, out);
}

int image_file_open(struct tree *t, struct node *image, unsigned int flags, struct qc_image **out)
{
	return open_logged(t, image, false, flags, out);
}

int image_file_open_first(struct tree *t, struct node *image, struct qc_image **out,
			  struct qc_reason *why)
{
	const struct cow *cow = t->config.cow;
	int r = 0;

	if (cow && cow->file && !image->image.overlay) { /* FILE must be writable */
		r = open_unlogged(t, image, true, QC_OPEN_WRITE, out, why);
		if (!r)
			qc_close(*out);
	}
	return r ? r : open_unlogged(t, image, cow, 0, out, why);
}

int image_file_report(struct tree *t, struct node *image, int r, const struct qc_reason *why)
{
	log_reason(t, image, why);
	return errno_for_open(r, why);
}

unsigned int image_file_write_version(struct node *image)
{
	unsigned int version;

	pthread_mutex_lock(&image->attr_lock);
	if (atomic_exchange(&image->image.written, false))
		image->image.write_version++;
	version = image->image.write_version;
	pthread_mutex_unlock(&image->attr_lock);
	return version;
}

/* ---- inspection ----------------------------------------------------------- */

/* Whether the image is open here: its tables in memory are newer than the file then. */
static bool is_open_elsewhere(struct qc_image *headers)
{
	struct qc_layer_use use;

	qc_get_layer_use(headers, 0, &use);
	return use.open;
}

/* Headers tell nothing about keys; the last open does. */
static bool get_key_error(struct node *image, struct qc_reason *why)
{
	bool none;

	pthread_mutex_lock(&image->attr_lock);
	none = image->image.no_key && image->image.last_error && !image->opens;
	if (none)
		snprintf(why->text, sizeof(why->text), "%s", image->image.last_error);
	pthread_mutex_unlock(&image->attr_lock);
	return none;
}

int image_file_inspect(struct tree *t, struct node *image, struct image_inspection *out)
{
	struct qc_reason ignored;
	char *path = NULL;
	int fd, r;

	*out = (struct image_inspection){ 0 };
	r = fd = open_by_name(t, image, &path, &out->why);
	if (fd < 0)
		path = name_path_of_image(t, image, 0);
	if (asprintf(&out->path, "%s/%s", t->src->dir, path ? path : "") < 0)
		out->path = NULL;
	if (fd >= 0) {
		r = open_at_fd(t, image, false, path, fd, QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT,
			       &out->img, &out->why);
		if (!r && is_open_elsewhere(out->img) &&
		    open_at_fd(t, image, false, path, fd, 0, &out->live, &ignored))
			out->live = NULL;
		close(fd);
	}
	out->failed = r < 0 || get_key_error(image, &out->why);
	free(path);
	if (out->path)
		return 0;
	image_file_inspection_end(out);
	return -ENOMEM;
}

void image_file_inspection_end(struct image_inspection *i)
{
	if (i->img)
		qc_close(i->img);
	if (i->live)
		qc_close(i->live);
	free(i->path);
}
