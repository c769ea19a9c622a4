/* SPDX-License-Identifier: MIT */
/*
 * source.h - SOURCE: the directory of the images.
 *
 * Called by the tree for every file that it opens.  If SOURCE is one image, this is the image's
 * directory and its name there.  Paths start at a descriptor that was opened before the mount,
 * so the mount may cover SOURCE.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "qcow.h"

struct source {
	int dirfd;
	char *dir;  /* absolute path */
	char *only; /* name of the image, if SOURCE is one; else NULL */
	int pinned; /* an O_PATH descriptor of it, if the mount covers it; else -1 */
	bool follow; /* also links that leave the directory */
	struct qc_context *traceless; /* access times must not change; else NULL */
	dev_t covered_dev; /* of the file or directory under the mount */
	ino_t covered_ino;
	char *as_given; /* absolute path of the directory, links not resolved; NULL if it is one image */
};

/*
 * source_open() - open SOURCE, before the mount
 * @source:      path of a directory or an image
 * @mountpoint:  path
 * @follow:      links may leave the directory (backing=any)
 *
 * Return: 0; -errno, and nothing is open.
 */
int source_open(struct source *s, const char *source, const char *mountpoint, bool follow);
void source_close(struct source *s);

/*
 * source_open_path() - open a path below SOURCE
 * @path:   "" is SOURCE itself
 * @flags:  of open(2); O_CLOEXEC is added
 *
 * Return: a descriptor; -EXDEV the path leaves SOURCE; else -errno.
 */
int source_open_path(const struct source *s, const char *path, int flags);

/* Returns whether the one image, or the file system of the directory, is read-only; errno says
 * why. */
bool source_is_readonly(const struct source *s);

/*
 * source_open_image() - open a file for reading, if images can be such files
 *
 * Never blocks: a fifo or a terminal is recognised before it is opened.
 * Return: a descriptor; -EMEDIUMTYPE the file is not regular (or a block device, if SOURCE is
 * one); else -errno.
 */
int source_open_image(const struct source *s, const char *path);

#endif
