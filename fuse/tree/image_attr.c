/* SPDX-License-Identifier: MIT */
/*
 * image_attr.c - the size needs the headers of the image's chain.  They are read again when the
 * times or the size of the file, or of its overlay, have changed.
 */
#include "tree/image_attr.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "tree/cow_overlay.h"
#include "tree/image_file.h"
#include "tree/name.h"

enum { SECTOR = 512 }; /* an overlay has whole sectors */

/* ---- the file ------------------------------------------------------------- */

static int stat_path(struct tree *t, const struct node *image, const char *path, struct stat *st)
{
	int fd = source_open_path(t->src, path, O_PATH), r;
	struct identity id;

	if (fd < 0)
		return fd;
	r = fstat(fd, st) ? -errno : 0;
	close(fd);
	id = identity_of(st);
	if (!r && !t->src->only && !identity_same_file(&id, &image->image.id))
		r = -ESTALE;
	return r;
}

/* Stats the file by the first name that leads to it; *path, to be freed, is that. */
static int stat_by_name(struct tree *t, const struct node *image, char **path, struct stat *st)
{
	int r = -ESTALE;

	for (size_t i = 0; (*path = name_path_of_image(t, image, i)); i++) {
		r = stat_path(t, image, *path, st);
		if (!r)
			break;
		free(*path);
	}
	return r;
}

int image_attr_stat_file(struct tree *t, struct node *image, struct stat *st)
{
	char *path;
	int r = stat_by_name(t, image, &path, st);

	free(path);
	return r;
}

/* ---- the disk ------------------------------------------------------------- */

/* Returns true for an error that says nothing about the image. */
static bool is_shortage(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE;
}

/* Reads the headers of the chain.  An image that cannot be used has the size 0.  Return: 0; the
 * error of a shortage: the size is not known, and 0 would make a reader see an empty disk. */
static int probe_headers(struct tree *t, struct node *n, const char *path,
			  const struct identity *id)
{
	struct qc_image *img = NULL;
	struct qc_reason why;
	int fd = source_open_image(t->src, path);
	int r = fd < 0 ? fd : image_file_open_headers(t, n, path, fd, 0, &img, &why);

	if (fd >= 0)
		close(fd);
	if (is_shortage(r))
		return r;
	pthread_mutex_lock(&n->attr_lock);
	n->image.probed = true;
	n->image.probed_at = *id;
	n->image.error = r;
	n->image.size = r ? 0 : qc_size(img);
	if (t->config.cow) /* the overlay, made or not, ends with a whole sector */
		n->image.size += (SECTOR - n->image.size % SECTOR) % SECTOR;
	n->image.cluster_size = r ? 0 : qc_cluster_size(img);
	pthread_mutex_unlock(&n->attr_lock);
	if (!r)
		qc_close(img);
	return 0;
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* Adds the blocks of an overlay, and its times where they are later. */
static void add_overlay_attr(const struct stat *overlay, struct stat *st)
{
	st->st_blocks += overlay->st_blocks;
	if (is_later(&overlay->st_mtim, &st->st_mtim))
		st->st_mtim = overlay->st_mtim;
	if (is_later(&overlay->st_ctim, &st->st_ctim))
		st->st_ctim = overlay->st_ctim;
}

static nlink_t count_names(struct tree *t, const struct node *image)
{
	nlink_t n = 0;

	pthread_mutex_lock(&t->lock);
	for (const struct name *nm = image->image.names; nm; nm = nm->next)
		n++;
	pthread_mutex_unlock(&t->lock);
	return n ? n : 1;
}

static int fill_disk_attr(struct tree *t, struct node *n, const char *path, struct stat *st)
{
	struct identity id = identity_of(st);
	struct stat overlay;
	bool known, used;
	int r;

	if (cow_overlay_stat(n, &overlay, &used)) {
		id = identity_of(&overlay); /* it has the size of the disk */
		if (used)
			add_overlay_attr(&overlay, st);
	}
	pthread_mutex_lock(&n->attr_lock);
	known = n->growing || (n->image.probed && !n->image.error &&
				identity_same_content(&n->image.probed_at, &id));
	pthread_mutex_unlock(&n->attr_lock);
	r = known ? 0 : probe_headers(t, n, path, &id);
	if (r)
		return r;
	pthread_mutex_lock(&n->attr_lock);
	st->st_size = (off_t)(n->growing ? n->grown_size : n->image.size);
	if (n->image.cluster_size)
		st->st_blksize =
			(blksize_t)(n->image.cluster_size < 4096 ? 4096 : n->image.cluster_size);
	pthread_mutex_unlock(&n->attr_lock);
	st->st_mode = S_IFREG | (st->st_mode & 0777 & (t->config.ro ? ~0222u : ~0u));
	if (t->config.cow)
		st->st_mode |= S_IWUSR;
	st->st_nlink = count_names(t, n);
	return 0;
}

int image_attr_get(struct tree *t, struct node *image, struct stat *st)
{
	char *path;
	int r = stat_by_name(t, image, &path, st);

	if (!r) {
		r = fill_disk_attr(t, image, path, st);
		if (!r)
			node_finish_attr(t, image, st);
	} else if (!is_shortage(r)) {
		/* A file that is gone, but still open, is as it was.  -ESTALE makes the kernel
		 * look the name up again. */
		r = !node_last_attr(image, st) ? 0 : t->src->only ? r : -ESTALE;
	}
	free(path);
	return r;
}
