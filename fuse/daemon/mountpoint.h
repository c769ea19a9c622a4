/* SPDX-License-Identifier: MIT */
/*
 * mountpoint.h - the directory or file that is mounted on, before and after the mount.
 *
 * MOUNTPOINT may be /dev/fd/N: a descriptor of /dev/fuse that another program (mount.fuse3
 * with drop_privileges, a container) has mounted already.  Then nothing is mounted or unmounted
 * here, and the root is taken to be a directory.
 */
#ifndef MOUNTPOINT_H
#define MOUNTPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/exit_status.h"

struct mountpoint {
	char *path;	/* absolute, without symbolic links; or /dev/fd/N.  NULL: not found yet */
	bool is_dir;	/* else it is a file */
	bool is_fuse_fd; /* it is /dev/fd/N */
	uint32_t dev_major, dev_minor; /* of the mount, once it stands */
};

/* Finds the mountpoint.  Return: EXIT_OK; EXIT_MOUNT, EXIT_USAGE after a message. */
enum exitcode mountpoint_find(struct mountpoint *m, const char *path);

/* Notes the device number of the mount.  Call it right after the mount. */
void mountpoint_note_mounted(struct mountpoint *m);

/* Returns true if the topmost mount at the path is the one that was noted. */
bool mountpoint_is_mounted(const struct mountpoint *m);

void mountpoint_free(struct mountpoint *m);

#endif
