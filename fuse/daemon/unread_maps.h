/* SPDX-License-Identifier: MIT */
/*
 * unread_maps.h - mapfiles of ddrescue for image files: -o damage and -o damage-dir.
 *
 * The one of -o damage belongs to SOURCE and is read before the mount.  Those of a directory are
 * read whenever an image is opened: NAME.map belongs to the file NAME.
 */
#ifndef UNREAD_MAPS_H
#define UNREAD_MAPS_H

#include "cli/options.h"
#include "tree/source.h"

struct unread_maps {
	const struct source *source;
	char *text; /* of -o damage; NULL */
	size_t len;
	int dirfd; /* of -o damage-dir; -1: none */
};

#define UNREAD_MAPS_NONE ((struct unread_maps){ .dirfd = -1 })

/* Reads the file and opens the directory.  @maps is UNREAD_MAPS_NONE; to be closed in each case.
 * Return: 0; -errno after a message. */
int unread_maps_open(struct unread_maps *m, const struct options *o, const struct source *source);
void unread_maps_close(struct unread_maps *m);

/* Finds the mapfile of an image file; a qc_unread_fn whose arg is the struct unread_maps. */
qc_unread_fn unread_maps_get;

#endif
