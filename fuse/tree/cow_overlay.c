/* SPDX-License-Identifier: MIT */
#include "tree/cow_overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tree/tree_fields.h"
#include "util/path_dir.h"
#include "util/report.h"

/* All fields are under node_image.overlay_lock; fd does not change. */
struct cow_overlay {
	int fd;
	char *name; /* of FILE, or for messages */
	atomic_bool used; /* may have data */
	bool has_fingerprint;
	struct qc_fingerprint fingerprint; /* of the image, at the first open */
	struct qc_backing_info recorded; /* in FILE, when it was found to belong to this image */
};

/* ---- the directory ---------------------------------------------------------- */

/* Opens the directory @path, or that of the file @path.  It must be readable: it is synced. */
static int open_overlay_dir(struct cow *c, const char *path, bool of_file)
{
	struct path_dir p;
	int r = of_file ? path_dir_open_as(&p, path, O_RDONLY) :
			  path_dir_open_self(&p, path, O_RDONLY);

	c->dir = p.dir;
	c->file = p.name;
	c->dirfd = p.fd;
	return r;
}

/* Makes a file with a name that is not in use, and removes the name. */
static int open_and_unlink(const struct cow *c)
{
	char name[40];
	uint64_t tag;
	int fd = -1;

	for (int i = 0; i < 10 && fd < 0; i++) {
		if (getrandom(&tag, sizeof(tag), 0) != sizeof(tag))
			return -EIO;
		snprintf(name, sizeof(name), ".qcowfs-%016" PRIx64, tag);
		fd = openat(c->dirfd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0 && errno != EEXIST)
			return -errno;
	}
	if (fd >= 0)
		unlinkat(c->dirfd, name, 0);
	return fd < 0 ? -EEXIST : fd;
}

static int open_nameless(struct cow *c)
{
	int fd = c->unlinks ? -1 :
			      openat(c->dirfd, ".", O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	/* A kernel or a file system that does not know O_TMPFILE opens the directory for writing. */
	if (fd < 0 && (c->unlinks || errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		fd = open_and_unlink(c);
		c->unlinks = c->unlinks || fd >= 0;
		return fd;
	}
	return fd < 0 ? -errno : fd;
}

/* Tries a file without a name now, not at the first write. */
static int begin_temporary(struct cow *c, const char *dir)
{
	int r = open_overlay_dir(c, dir, false);

	if (!r)
		r = open_nameless(c);
	if (r < 0) {
		cow_overlay_end(c);
		return r;
	}
	close(r);
	return 0;
}

enum exitcode cow_overlay_begin(struct cow *c, const char *file)
{
	const char *dir = getenv("TMPDIR");
	int r;

	if (file) {
		r = open_overlay_dir(c, file, true);
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
	report(QC_LOG_ERROR, "cow: cannot make an overlay in %s: %s%s", file ? file : dir,
	       strerror(-r), file ? qc_errno_hint(r) : " (set TMPDIR to another folder)");
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

/* ---- an empty overlay ------------------------------------------------------- */

static int fail_overlay(struct qc_reason *why, const struct cow *c, const struct cow_overlay *o,
			int r)
{
	snprintf(why->text, sizeof(why->text), "cannot make its overlay %s/%s: %s%s", c->dir,
		 o->name, strerror(-r), qc_errno_hint(r));
	return r;
}

/* Gets the size and the format of the image that the overlay will have as its backing file. */
static int get_base_info(const struct cow *c, const struct qc_image_location *src, uint64_t *size,
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

static int write_empty_overlay(const struct cow *c, struct cow_overlay *o,
			       const struct qc_image_location *src, struct qc_reason *why)
{
	const char *format;
	uint64_t size;
	char *path;
	int r = get_base_info(c, src, &size, &format, why);

	if (r)
		return r;
	if (asprintf(&path, "%s/%s", src->dir, src->name) < 0)
		return fail_overlay(why, c, o, -ENOMEM);
	r = qc_create_overlay(o->fd, size, path, format);
	if (r == -ENAMETOOLONG && !c->file) /* the name in a temporary overlay is never used */
		r = qc_create_overlay(o->fd, size, src->name, format);
	free(path);
	return r ? fail_overlay(why, c, o, r) : 0;
}

/* ---- FILE ------------------------------------------------------------------- */

static int refuse_file(struct qc_reason *why, const struct cow *c, const char *what)
{
	snprintf(why->text, sizeof(why->text),
		 "%.200s/%.200s %s (cow= may name a file that does not exist yet)",
		 c->dir, c->file, what);
	return -EINVAL;
}

/* Checks that FILE is an overlay of this image, also for other programs that open it. */
static int check_recorded_base(const struct cow *c, struct cow_overlay *o,
			       const struct qc_image_location *src, struct qc_reason *why)
{
	const char *format;
	struct stat recorded, image;
	uint64_t size;
	int r = qc_read_backing_info(o->fd, &o->recorded, why);

	if (r == -EMEDIUMTYPE)
		return refuse_file(why, c, "is not an image");
	if (r)
		return r;
	if (!*o->recorded.backing)
		return refuse_file(why, c, "is an image without a backing file, not an overlay");
	if (fstatat(c->dirfd, o->recorded.backing, &recorded, 0) || fstat(src->fd, &image) ||
	    recorded.st_dev != image.st_dev || recorded.st_ino != image.st_ino)
		return refuse_file(why, c, "is an overlay of another image");
	r = get_base_info(c, src, &size, &format, why);
	if (!r && *o->recorded.format && strcmp(o->recorded.format, format))
		r = refuse_file(why, c, "is an overlay, but says that the image has another format");
	return r;
}

/* Syncs FILE and its directory: after a power cut, data that an fsync covered needs the name. */
static int sync_new_file(const struct cow *c, const struct cow_overlay *o)
{
	if (fsync(o->fd))
		return -errno;
	return fsync(c->dirfd) && errno != EINVAL ? -errno : 0;
}

static int create_file(const struct cow *c, struct cow_overlay *o,
		       const struct qc_image_location *src, struct qc_reason *why)
{
	struct stat image;
	mode_t mode = fstat(src->fd, &image) ? 0 : image.st_mode & 0666;
	int r;

	o->fd = openat(c->dirfd, c->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode | 0600);
	if (o->fd < 0)
		return fail_overlay(why, c, o, -errno);
	r = write_empty_overlay(c, o, src, why);
	if (!r) {
		r = sync_new_file(c, o);
		if (r)
			fail_overlay(why, c, o, r);
	}
	if (r)
		unlinkat(c->dirfd, c->file, 0);
	return r ? r : check_recorded_base(c, o, src, why);
}

static int open_or_create_file(const struct cow *c, struct cow_overlay *o,
			       const struct qc_image_location *src, struct qc_reason *why)
{
	struct stat st;

	if (fstatat(c->dirfd, c->file, &st, 0)) {
		if (errno == ENOENT)
			return create_file(c, o, src, why);
		return fail_overlay(why, c, o, -errno);
	}
	if (!S_ISREG(st.st_mode))
		return refuse_file(why, c, "is not a regular file");
	o->fd = openat(c->dirfd, c->file, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (o->fd < 0) {
		snprintf(why->text, sizeof(why->text), "cannot open its overlay %s/%s for writing: %s%s",
			 c->dir, c->file, strerror(errno), qc_errno_hint(-errno));
		return -EACCES;
	}
	return check_recorded_base(c, o, src, why);
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

static int make_overlay(struct cow *c, struct node_image *i, const struct qc_image_location *src,
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
		r = open_or_create_file(c, o, src, why);
		o->used = true;
	} else {
		r = o->fd = open_nameless(c);
		r = r < 0 ? fail_overlay(why, c, o, r) : write_empty_overlay(c, o, src, why);
	}
	if (r)
		cow_overlay_free(o);
	else
		i->overlay = o;
	return r;
}

static int open_over(struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
		     unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	struct qc_image_location over = { .fd = o->fd, .dirfd = c->dirfd, .dir = c->dir,
					  .name = o->name };

	return qc_open_over(c->ctx, &over, src, flags, out, why);
}

static int get_base_fingerprint(struct qc_image *img, struct qc_fingerprint *out,
				struct qc_reason *why)
{
	struct qc_image *base;
	int r = qc_open_chain_from(img, 1, &base, why);

	if (r)
		return r;
	qc_get_fingerprint(base, out);
	qc_close(base);
	return 0;
}

/* Checks that no other program gave FILE another backing file, or changed the image. */
static int check_state(struct cow *c, struct cow_overlay *o, struct qc_image *img,
		       struct qc_reason *why)
{
	struct qc_backing_info now;
	struct qc_fingerprint base;
	int r = c->file ? qc_read_backing_info(o->fd, &now, why) : 0;

	if (r)
		return r;
	if (c->file && (strcmp(now.backing, o->recorded.backing) ||
			strcmp(now.format, o->recorded.format)))
		return refuse_file(why, c, "was made an overlay of another image");
	r = get_base_fingerprint(img, &base, why);
	if (r)
		return r;
	if (!o->has_fingerprint)
		o->fingerprint = base;
	o->has_fingerprint = true;
	if (o->fingerprint.content == base.content)
		return 0;
	snprintf(why->text, sizeof(why->text),
		 "cannot open: another program changed it, so its overlay does not fit any more");
	return -ESTALE;
}

/* Whether another file of the mount has the overlay open. */
static bool overlay_is_open(struct cow *c, struct cow_overlay *o,
			    const struct qc_image_location *src)
{
	struct qc_layer_info f = { 0 };
	struct qc_reason ignored;
	struct qc_image *img;
	bool open = true;

	if (open_over(c, o, src, QC_OPEN_HEADERS_ONLY, &img, &ignored))
		return true;
	if (!qc_get_layer_info(img, 0, &f))
		open = f.use.open;
	qc_layer_info_free(&f);
	qc_close(img);
	return open;
}

static int open_in_state(struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
			 unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	int r = open_over(c, o, src, flags, out, why);

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

/* Opens the image; an overlay without data is made again over an image that has changed. */
static int open_or_renew(struct cow *c, struct cow_overlay *o, const struct qc_image_location *src,
			 unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	int r = open_in_state(c, o, src, flags, out, why);

	if (r != -ESTALE)
		return r;
	if (o->used || overlay_is_open(c, o, src))
		return -EIO;
	r = write_empty_overlay(c, o, src, why);
	o->has_fingerprint = false;
	return r ? r : open_in_state(c, o, src, flags, out, why);
}

int cow_overlay_open(struct cow *c, struct node *n, const struct qc_image_location *src,
		     unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	struct node_image *i = &n->image;
	int r = 0;

	pthread_mutex_lock(&i->overlay_lock);
	if (flags & QC_OPEN_HEADERS_ONLY)
		r = i->overlay ? open_over(c, i->overlay, src, flags, out, why) :
				 qc_open(c->ctx, src, flags, out, why);
	else if (!i->overlay)
		r = make_overlay(c, i, src, why);
	if (!r && !(flags & QC_OPEN_HEADERS_ONLY))
		r = open_or_renew(c, i->overlay, src, flags, out, why);
	pthread_mutex_unlock(&i->overlay_lock);
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
