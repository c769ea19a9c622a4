/* SPDX-License-Identifier: MIT */
/*
 * source.h - SOURCE: the folder that holds the images.
 *
 * Where SOURCE is one image, its folder is held, and the image by name.  Paths
 * start at that folder, whose descriptor was opened before anything was
 * mounted, so that the mount may even cover what it shows.
 */
#ifndef SOURCE_H
#define SOURCE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "qcow.h"

struct source {
	int dirfd;
	char *dir;  /* absolute path */
	char *only; /* the image, where SOURCE is one; else NULL */
	int pinned; /* an O_PATH descriptor of it, if the mount covers it; else -1 */
	bool follow; /* links out of the folder, too */
	struct qc_context *traceless; /* access times are not to change; else NULL */
	dev_t covered_dev; /* the mountpoint, before it was one */
	ino_t covered_ino;
	char *mountpoint; /* absolute */
};

/* -errno; nothing needs to be closed then. */
int source_open(struct source *s, const char *source, const char *mountpoint, bool follow);
void source_close(struct source *s);

/* Opens a path in the folder ("" is the folder).  -errno. */
int source_open_path(const struct source *s, const char *path, int flags);

/* Whether the one image, or the file system of the folder, may not be written, with errno
 * why. */
bool source_is_readonly(const struct source *s);

/* Opens the image at path in a way that cannot block, and only if it is what
 * an image can be.  -EMEDIUMTYPE if not. */
int source_open_image(const struct source *s, const char *path);

#endif
