/* SPDX-License-Identifier: MIT */
#include "tree/cow_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree/node.h"
#include "util/report.h"

/* The node's over_lock; its descriptor does not change. */
struct cow_overlay {
	int fd;
	char *name; /* of FILE, or to call it by */
	atomic_bool used; /* something may have been written */
	bool stamped;
	struct qc_fingerprint stamp;  /* of the image below, when something was written first */
	struct qc_backing_info says; /* of FILE, when it was found to be of this image */
};

/* ---- where ------------------------------------------------------------------ */

static int open_folder(struct cow *c, const char *path)
{
	c->dir = realpath(path, NULL);
	c->dirfd = c->dir ? open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	return c->dirfd < 0 ? -errno : 0;
}

static int open_nameless(const struct cow *c)
{
	int fd = openat(c->dirfd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

/* Whether the folder takes files without a name is known before they are needed. */
static int begin_temporary(struct cow *c, const char *dir)
{
	int r = open_folder(c, dir);

	if (!r)
		r = open_nameless(c);
	if (r < 0) {
		cow_overlay_end(c);
		return r;
	}
	close(r);
	return 0;
}

static int begin_file(struct cow *c, const char *file)
{
	char *copy = strdup(file);
	int r = copy ? open_folder(c, dirname(copy)) : -ENOMEM;

	free(copy);
	copy = strdup(file);
	c->file = copy ? strdup(basename(copy)) : NULL;
	free(copy);
	return r ? r : c->file ? 0 : -ENOMEM;
}

enum exitcode cow_overlay_begin(struct cow *c, const char *file)
{
	const char *dir = getenv("TMPDIR");
	int r;

	if (file) {
		r = begin_file(c, file);
	} else if (dir && *dir) {
		r = begin_temporary(c, dir);
	} else {
		dir = "/var/tmp";
		r = begin_temporary(c, dir);
		if (r && !begin_temporary(c, "/tmp"))
			r = 0;
	}
	if (!r)
		return EXIT_OK;
	report(QC_LOG_ERROR, "cow: no overlay can be made in %s: %s%s", file ? file : dir,
	       strerror(-r), file ? qc_errno_hint(r) : " (TMPDIR is where they are made)");
	return EXIT_USAGE;
}

void cow_overlay_end(struct cow *c)
{
	if (c->dirfd >= 0)
		close(c->dirfd);
	free(c->dir);
	free(c->file);
	*c = (struct cow){ .dirfd = -1 };
}

/* ---- an empty one ----------------------------------------------------------- */

static int because(struct qc_reason *why, const struct cow *c, const struct cow_overlay *o, int r)
{
	snprintf(why->text, sizeof(why->text), "its overlay %s/%s cannot be made: %s%s", c->dir,
		 o->name, strerror(-r), qc_errno_hint(r));
	return r;
}

/* What the overlay is to be of. */
static int look_below(const struct cow *c, const struct qc_image_location *src, uint64_t *size,
		      const char **format, struct qc_reason *why)
{
	struct qc_layer_info f = { 0 };
	struct qc_image *img;
	int r = qc_open(c->ctx, src, QC_OPEN_HEADERS_ONLY, &img, why);

	if (r)
		return r;
	r = qc_get_layer_info(img, 0, &f);
	*size = qc_size(img);
	*format = qc_format_name(f.version);
	qc_layer_info_free(&f);
	qc_close(img);
	return r;
}

static int fill(const struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
		struct qc_reason *why)
{
	const char *format;
	uint64_t size;
	char *path;
	int r = look_below(c, src, &size, &format, why);

	if (r)
		return r;
	if (asprintf(&path, "%s/%s", src->dir, src->name) < 0)
		return because(why, c, o, -ENOMEM);
	r = qc_create_overlay(o->fd, size, path, format);
	if (r == -ENAMETOOLONG && !c->file) /* nobody goes by it */
		r = qc_create_overlay(o->fd, size, src->name, format);
	free(path);
	return r ? because(why, c, o, r) : 0;
}

/* ---- FILE ------------------------------------------------------------------- */

static int refuse(struct qc_reason *why, const struct cow *c, const char *what)
{
	snprintf(why->text, sizeof(why->text),
		 "%.200s/%.200s %s (cow= may name a file that is not there yet)",
		 c->dir, c->file, what);
	return -EINVAL;
}

/* That it is of this image, and that others who open it take that for the same. */
static int check_below(const struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
		       struct qc_reason *why)
{
	const char *format;
	struct stat named, image;
	uint64_t size;
	int r = qc_read_backing_info(o->fd, &o->says, why);

	if (r == -EMEDIUMTYPE)
		return refuse(why, c, "is not an image");
	if (r)
		return r;
	if (!*o->says.backing)
		return refuse(why, c, "is an image without a backing file, not an overlay");
	if (fstatat(c->dirfd, o->says.backing, &named, 0) || fstat(src->fd, &image) ||
	    named.st_dev != image.st_dev || named.st_ino != image.st_ino)
		return refuse(why, c, "is an overlay of another image");
	r = look_below(c, src, &size, &format, why);
	if (!r && *o->says.format && strcmp(o->says.format, format))
		r = refuse(why, c, "is an overlay, but says that the image has another format");
	return r;
}

/* A power cut must not take the name of what an fsync has covered. */
static int sync_both(const struct cow *c, const struct cow_overlay *o)
{
	if (fsync(o->fd))
		return -errno;
	return fsync(c->dirfd) && errno != EINVAL ? -errno : 0;
}

static int make_file(const struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
		     struct qc_reason *why)
{
	struct stat image;
	mode_t mode = fstat(src->fd, &image) ? 0 : image.st_mode & 0666;
	int r;

	o->fd = openat(c->dirfd, c->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode | 0600);
	if (o->fd < 0)
		return because(why, c, o, -errno);
	r = fill(c, o, src, why);
	if (!r) {
		r = sync_both(c, o);
		if (r)
			because(why, c, o, r);
	}
	if (r)
		unlinkat(c->dirfd, c->file, 0);
	return r ? r : check_below(c, o, src, why);
}

static int continue_file(const struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
			 struct qc_reason *why)
{
	struct stat st;

	if (fstatat(c->dirfd, c->file, &st, 0)) {
		if (errno == ENOENT)
			return make_file(c, o, src, why);
		return because(why, c, o, -errno);
	}
	if (!S_ISREG(st.st_mode))
		return refuse(why, c, "is not a regular file");
	o->fd = openat(c->dirfd, c->file, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (o->fd < 0) {
		snprintf(why->text, sizeof(why->text), "%s/%s cannot be written: %s%s", c->dir,
			 c->file, strerror(errno), qc_errno_hint(-errno));
		return -EACCES;
	}
	return check_below(c, o, src, why);
}

/* ---- making and opening ----------------------------------------------------- */

void cow_overlay_free(struct cow_overlay *o)
{
	if (!o)
		return;
	if (o->fd >= 0)
		close(o->fd);
	free(o->name);
	free(o);
}

static int make(struct cow *c, struct node *n, const struct qc_image_location *src,
		struct qc_reason *why)
{
	struct cow_overlay *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	o->fd = -1;
	if (c->file)
		o->name = strdup(c->file);
	else if (asprintf(&o->name, "overlay of %s", src->name) < 0)
		o->name = NULL;
	if (!o->name) {
		r = -ENOMEM;
	} else if (c->file) {
		r = continue_file(c, o, src, why);
		o->used = true;
	} else {
		r = o->fd = open_nameless(c);
		r = r < 0 ? because(why, c, o, r) : fill(c, o, src, why);
	}
	if (r)
		cow_overlay_free(o);
	else
		n->image.overlay = o;
	return r;
}

static int try_open(struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
		    unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	struct qc_image_location over = { .fd = o->fd, .dirfd = c->dirfd, .dir = c->dir, .name = o->name };

	return qc_open_over(c->ctx, &over, src, flags, out, why);
}

static int stamp_below(struct qc_image *img, struct qc_fingerprint *out, struct qc_reason *why)
{
	struct qc_image *below;
	int r = qc_open_chain_from(img, 1, &below, why);

	if (r)
		return r;
	qc_get_fingerprint(below, out);
	qc_close(below);
	return 0;
}

/* Others may have given FILE to another image, or written to the image. */
static int check_state(struct cow *c, struct cow_overlay *o, struct qc_image *img,
		       struct qc_reason *why)
{
	struct qc_backing_info now;
	struct qc_fingerprint stamp;
	int r = c->file ? qc_read_backing_info(o->fd, &now, why) : 0;

	if (r)
		return r;
	if (c->file && (strcmp(now.backing, o->says.backing) || strcmp(now.format, o->says.format)))
		return refuse(why, c, "was made an overlay of another image");
	r = stamp_below(img, &stamp, why);
	if (r)
		return r;
	if (!o->stamped)
		o->stamp = stamp;
	o->stamped = true;
	if (o->stamp.content == stamp.content)
		return 0;
	snprintf(why->text, sizeof(why->text), "another program changed it: what was written "
		 "over it does not fit any more");
	return -ESTALE;
}

/* Whether somebody else has the overlay open. */
static bool is_open(struct cow *c, struct cow_overlay *o, const struct qc_image_location *src)
{
	struct qc_layer_info f = { 0 };
	struct qc_reason ignored;
	struct qc_image *img;
	bool open = true;

	if (try_open(c, o, src, QC_OPEN_HEADERS_ONLY, &img, &ignored))
		return true;
	if (!qc_get_layer_info(img, 0, &f))
		open = f.use.open;
	qc_layer_info_free(&f);
	qc_close(img);
	return open;
}

static int open_checked(struct cow *c, struct node *n, const struct qc_image_location *src,
			unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	struct cow_overlay *o = n->image.overlay;
	int r = try_open(c, o, src, flags, out, why);

	if (r)
		return r;
	r = check_state(c, o, *out, why);
	if (r) {
		qc_close(*out);
		return r;
	}
	o->used = o->used || flags & QC_OPEN_WRITE;
	return 0;
}

/* One in which nothing was written is made anew over an image that has changed. */
static int open_any(struct cow *c, struct node *n, const struct qc_image_location *src,
		    unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	struct cow_overlay *o = n->image.overlay;
	int r = open_checked(c, n, src, flags, out, why);

	if (r != -ESTALE)
		return r;
	if (o->used || is_open(c, o, src))
		return -EIO;
	r = fill(c, o, src, why);
	o->stamped = false;
	return r ? r : open_checked(c, n, src, flags, out, why);
}

int cow_overlay_open(struct cow *c, struct node *n, const struct qc_image_location *src, unsigned int flags,
	     struct qc_image **out, struct qc_reason *why)
{
	int r = 0;

	pthread_mutex_lock(&n->image.overlay_lock);
	if (flags & QC_OPEN_HEADERS_ONLY)
		r = n->image.overlay ? try_open(c, n->image.overlay, src, flags, out, why) :
				 qc_open(c->ctx, src, flags, out, why);
	else if (!n->image.overlay)
		r = make(c, n, src, why);
	if (!r && !(flags & QC_OPEN_HEADERS_ONLY))
		r = open_any(c, n, src, flags, out, why);
	pthread_mutex_unlock(&n->image.overlay_lock);
	return r;
}

bool cow_overlay_stat(const struct node *n, struct stat *out, bool *used)
{
	const struct cow_overlay *o = n->image.overlay;

	if (!o || fstat(o->fd, out))
		return false;
	*used = o->used;
	return true;
}
