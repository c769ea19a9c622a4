/* SPDX-License-Identifier: MIT */
/*
 * image_file.c - what a node's image is: its attributes, and the image itself.
 */
#include "tree/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree/cow_overlay.h"
#include "info/image_json.h"
#include "views/partition_files.h"
#include "util/report.h"
#include "views/snapshot_names.h"
#include "util/fd_reserve.h"
#include "views/view.h"

enum { SECTOR = 512 }; /* an overlay is of whole ones */

/* ---- opening -------------------------------------------------------------- */

static void log_reason(struct node *n, const struct qc_reason *why)
{
	char *path = node_path(n);
	bool news;

	pthread_mutex_lock(&n->facts);
	news = !n->said || strcmp(n->said, why->text);
	if (news) {
		free(n->said);
		n->said = strdup(why->text);
	}
	n->no_key = why->cause == QC_CAUSE_KEY;
	pthread_mutex_unlock(&n->facts);
	if (news)
		report(QC_LOG_ERROR, "%s: %s", path ? path : n->file, why->text);
	free(path);
}

/* Opens the image of an open file, through the overlay of `over` if that is not NULL.
 * Its folder is where its references start. */
static int open_fd(struct tree *t, struct node *over, const char *path, int fd,
		   unsigned int flags, struct qc_image **out, struct qc_reason *why)
{
	const char *slash = strrchr(path, '/');
	char *sub = strndup(path, slash ? (size_t)(slash - path) : 0), *dir = NULL;
	struct qc_image_location src = { .fd = fd, .dirfd = -1, .name = slash ? slash + 1 : path };
	int r = -ENOMEM;

	if (sub && asprintf(&dir, "%s%s%s", t->src->dir, *sub ? "/" : "", sub) >= 0)
		r = src.dirfd = source_open_path(t->src, sub, O_PATH | O_DIRECTORY);
	if (r < 0)
		snprintf(why->text, sizeof(why->text), "%s%s", strerror(-r), qc_errno_hint(r));
	src.dir = dir;
	if (r >= 0)
		r = over ? cow_overlay_open(t->look.cow, over, &src, flags, out, why) :
			   qc_open(t->ctx, &src, flags, out, why);
	if (src.dirfd >= 0)
		close(src.dirfd);
	free(sub);
	free(dir);
	return r;
}

/* An open of n has found this.  Whether the kernel's pages of it, from before,
 * are still good. */
static bool note_open(struct tree *t, struct node *n, const struct qc_image *img)
{
	struct qc_fingerprint now;
	bool keep;

	qc_get_fingerprint(img, &now);
	pthread_mutex_lock(&n->facts);
	keep = n->stamped && n->stamp.times_reliable && n->stamp.exact == now.exact;
	if (n->stamped && n->stamp.content != now.content && !t->look.changing)
		atomic_fetch_add(&n->generation, 1);
	n->opens++;
	n->stamped = true;
	n->stamp = now;
	n->probed = false;
	free(n->said);
	n->said = NULL;
	n->no_key = false;
	pthread_mutex_unlock(&n->facts);
	return keep;
}

unsigned int node_content_version(const struct node *n)
{
	return atomic_load_explicit(&n->generation, memory_order_relaxed);
}

/* What open(2) says: that there is no key, that somebody else has it, or that
 * it cannot be read; the log knows more. */
static int public_error(int r, const struct qc_reason *why)
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

/* The node's file, if it still is that; a descriptor, or -errno. */
static int open_file(struct tree *t, struct node *n, const char *path, struct qc_reason *why)
{
	int fd = source_open_image(t->src, path);
	struct identity id;
	struct stat st;

	if (fd < 0) {
		snprintf(why->text, sizeof(why->text), "%s%s",
			 fd == -EMEDIUMTYPE ? "not a regular file" : strerror(-fd), qc_errno_hint(fd));
		return fd;
	}
	if (fd_reserve_is_low()) {
		close(fd);
		snprintf(why->text, sizeof(why->text), "%s%s", strerror(EMFILE),
			 qc_errno_hint(-EMFILE));
		return -EMFILE;
	}
	if (t->src->only || fstat(fd, &st))
		return fd;
	id = identity_of(&st);
	if (identity_same_file(&id, &n->checked))
		return fd;
	close(fd);
	return -ESTALE;
}

static int open_node(struct tree *t, struct node *n, bool over, unsigned int flags,
		     struct qc_image **out, struct qc_reason *why)
{
	char *path = node_path(n);
	int fd, r = -ENOMEM;

	*why = (struct qc_reason){ 0 };
	fd = path ? open_file(t, n, path, why) : -ENOMEM;
	if (fd >= 0) {
		r = open_fd(t, over ? n : NULL, path, fd, flags, out, why);
		if (r)
			r = public_error(r, why);
		close(fd);
	} else {
		r = fd;
	}
	free(path);
	return r;
}

int tree_open_first(struct tree *t, struct node *n, struct qc_image **out,
		    struct qc_reason *why)
{
	int r = 0;

	if (t->look.cow && t->look.cow->file && !n->overlay) { /* whether it can be written, too */
		r = open_node(t, n, true, QC_OPEN_WRITE, out, why);
		if (!r)
			qc_close(*out);
	}
	return r ? r : open_node(t, n, t->look.cow, 0, out, why);
}

static int open_logged(struct tree *t, struct node *image, bool over, unsigned int flags,
		       struct qc_image **out)
{
	struct qc_reason why;
	int r = open_node(t, image, over, flags, out, &why);

	if (!r)
		return 0;
	if (r != -ESTALE)
		log_reason(image, &why);
	pthread_mutex_lock(&image->facts);
	image->probed = false; /* so that its size tells, too */
	pthread_mutex_unlock(&image->facts);
	return r;
}

int image_file_open_cow(struct tree *t, struct node *image, unsigned int flags, struct qc_image **out)
{
	return open_logged(t, image, t->look.cow, flags, out);
}

int image_file_open(struct tree *t, struct node *image, unsigned int flags, struct qc_image **out)
{
	return open_logged(t, image, false, flags, out);
}

int image_file_report(struct node *image, int r, const struct qc_reason *why)
{
	log_reason(image, why);
	return public_error(r, why);
}

int tree_open(struct tree *t, struct node *n, bool write, struct qc_image **out, bool *keep)
{
	int r;

	if (n->folder)
		return -EISDIR;
	if (n->view)
		r = view_open(t, n, write, out);
	else
		r = image_file_open_cow(t, n, write ? QC_OPEN_WRITE : 0, out);
	if (!r && !n->view)
		partition_files_image_opened(n);
	if (!r)
		*keep = note_open(t, n, *out);
	return r;
}

void node_close(struct node *n, struct qc_image *img)
{
	qc_close(img);
	pthread_mutex_lock(&n->facts);
	n->opens--;
	pthread_mutex_unlock(&n->facts);
}

/* ---- attributes ----------------------------------------------------------- */

/* Looks into the headers of the chain. */
static void probe(struct tree *t, struct node *n, const char *path,
		  const struct identity *id)
{
	struct qc_image *img = NULL;
	struct qc_reason why;
	int fd = source_open_image(t->src, path);
	int r = fd < 0 ? fd : open_fd(t, t->look.cow ? n : NULL, path, fd, QC_OPEN_HEADERS_ONLY, &img, &why);

	if (fd >= 0)
		close(fd);
	pthread_mutex_lock(&n->facts);
	n->probed = true;
	n->probed_at = *id;
	n->error = r;
	n->size = r ? 0 : qc_size(img);
	if (t->look.cow) /* as an overlay has it, though there is none yet */
		n->size += (SECTOR - n->size % SECTOR) % SECTOR;
	n->cluster = r ? 0 : qc_cluster_size(img);
	pthread_mutex_unlock(&n->facts);
	if (!r)
		qc_close(img);
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* What was written has times and blocks, too. */
static void add_overlay(const struct stat *over, struct stat *st)
{
	st->st_blocks += over->st_blocks;
	if (is_later(&over->st_mtim, &st->st_mtim))
		st->st_mtim = over->st_mtim;
	if (is_later(&over->st_ctim, &st->st_ctim))
		st->st_ctim = over->st_ctim;
}

static void image_facts(struct tree *t, struct node *n, const char *path, struct stat *st)
{
	struct identity id = identity_of(st);
	struct stat over;
	bool known, used;

	if (cow_overlay_stat(n, &over, &used)) {
		id = identity_of(&over); /* the size is from there */
		if (used)
			add_overlay(&over, st);
	}
	pthread_mutex_lock(&n->facts);
	known = n->probed && !n->error && identity_same_content(&n->probed_at, &id);
	pthread_mutex_unlock(&n->facts);
	if (!known)
		probe(t, n, path, &id);
	pthread_mutex_lock(&n->facts);
	st->st_size = (off_t)n->size;
	if (n->cluster)
		st->st_blksize = (blksize_t)(n->cluster < 4096 ? 4096 : n->cluster);
	pthread_mutex_unlock(&n->facts);
	st->st_mode = S_IFREG | (st->st_mode & 0777 & (t->look.ro ? ~0222u : ~0u));
	if (t->look.cow)
		st->st_mode |= S_IWUSR;
	st->st_nlink = 1;
}

int image_file_last_attr(struct node *n, struct stat *st)
{
	int r;

	pthread_mutex_lock(&n->facts);
	r = n->opens && n->last.st_ino ? 0 : -ESTALE;
	*st = n->last;
	pthread_mutex_unlock(&n->facts);
	return r;
}

static int stat_file(struct tree *t, struct node *n, const char *path, struct stat *st)
{
	int fd = source_open_path(t->src, path, O_PATH), r;
	struct identity id;

	if (fd < 0)
		return fd;
	r = fstat(fd, st) ? -errno : 0;
	close(fd);
	id = identity_of(st);
	if (!r && !n->folder && !t->src->only && !identity_same_file(&id, &n->checked))
		r = -ESTALE;
	return r;
}

int image_file_stat(struct tree *t, struct node *image, struct stat *st)
{
	char *path = node_path(image);
	int r = path ? stat_file(t, image, path, st) : -ENOMEM;

	free(path);
	return r;
}

void image_file_fill_attr(const struct tree *t, struct node *n, struct stat *st)
{
	st->st_ino = n->ino;
	st->st_mode &= ~t->look.mask;
	if (t->look.set_uid)
		st->st_uid = t->look.uid;
	if (t->look.set_gid)
		st->st_gid = t->look.gid;
	pthread_mutex_lock(&n->facts);
	n->last = *st;
	pthread_mutex_unlock(&n->facts);
}

int tree_stat(struct tree *t, struct node *n, struct stat *st)
{
	char *path;
	int r;

	if (n->view)
		return view_stat(t, n, st);
	path = node_path(n);
	r = path ? stat_file(t, n, path, st) : -ENOMEM;
	if (!r && n->folder)
		st->st_mode = S_IFDIR | (st->st_mode & 0777 & (t->look.ro ? ~0222u : ~0u));
	else if (!r)
		image_facts(t, n, path, st);
	free(path);
	if (!r)
		image_file_fill_attr(t, n, st);
	else if (!n->folder && r != -ENOMEM && r != -EMFILE && r != -ENFILE)
		r = image_file_last_attr(n, st);
	return r;
}

/* ---- facts ----------------------------------------------------------------- */

/* The tables in memory are newer then. */
static bool is_open(struct qc_image *peeked)
{
	struct qc_layer_info f;
	bool open = !qc_get_layer_info(peeked, 0, &f) && f.use.open;

	qc_layer_info_free(&f);
	return open;
}

/* Who only looks does not try keys: whether one fits is known from the last open. */
static bool had_no_key(struct node *n, struct qc_reason *why)
{
	bool none;

	pthread_mutex_lock(&n->facts);
	none = n->no_key && n->said && !n->opens;
	if (none)
		snprintf(why->text, sizeof(why->text), "%s", n->said);
	pthread_mutex_unlock(&n->facts);
	return none;
}

char *info_json(struct tree *t, struct node *n, size_t *len)
{
	struct info info = { 0 };
	struct qc_reason why = { 0 }, ignored;
	char *path = node_path(n), *full = NULL, *text = NULL;
	int fd, r;

	if (!path || asprintf(&full, "%s/%s", t->src->dir, path) < 0) {
		free(path);
		return NULL;
	}
	r = fd = open_file(t, n, path, &why);
	if (fd >= 0) {
		r = open_fd(t, NULL, path, fd, QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT, &info.img, &why);
		if (!r && is_open(info.img) && open_fd(t, NULL, path, fd, 0, &info.live, &ignored))
			info.live = NULL;
		close(fd);
	}
	info.path = full;
	info.shown = t->look.snapshots ? snapshot_names : NULL;
	info.error = r < 0 || had_no_key(n, &why) ? why.text : NULL;
	qc_get_counters(t->ctx, &info.counters);
	text = image_json_text(&info, len);
	if (info.img)
		qc_close(info.img);
	if (info.live)
		qc_close(info.live);
	free(full);
	free(path);
	return text;
}
