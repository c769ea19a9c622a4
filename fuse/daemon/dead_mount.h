/* SPDX-License-Identifier: MIT */
/*
 * dead_mount.h - unmount a file system whose daemon was killed.
 *
 * Called before the mountpoint is looked up, since that fails for a dead mount.  A mount whose
 * daemon lives stays: only an ENOTCONN or ECONNABORTED of the kernel tells that it is dead.
 */
#ifndef DEAD_MOUNT_H
#define DEAD_MOUNT_H

#include "util/exit_status.h"

/*
 * dead_mount_clear() - unmount what a killed daemon has left at @path, if anything
 *
 * The kernel tells only the user of a mount that it is dead.  Root asks as this user.
 *
 * Return: EXIT_OK; EXIT_MOUNT after a message: the user may not unmount it, or may not look.
 */
enum exitcode dead_mount_clear(const char *path);

#endif
