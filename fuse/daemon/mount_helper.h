/* SPDX-License-Identifier: MIT */
/*
 * mount_helper.h - the program as a helper of mount(8): mount.qcowfs and mount.fuse.qcowfs.
 *
 * mount(8) calls a link of one of these names for the types qcowfs and fuse.qcowfs, with other
 * letters: -s, -f and -n mean something else there.
 */
#ifndef MOUNT_HELPER_H
#define MOUNT_HELPER_H

#include <stdbool.h>

#include "cli/options.h"

/* Returns true if the program was called by a name that begins with "mount.". */
bool mount_helper_is_called(const char *argv0);

/*
 * mount_helper_parse() - fill *@o from the command line of a helper
 *
 * With drop_privileges or setuid= it runs mount.fuse3, which mounts as root, and then starts this
 * program without root's rights on the descriptor.  That does not return, unless mount.fuse3 is
 * not there.  Enters the mount namespace that mount(8) names.
 * Return: EXIT_OK; EXIT_USAGE, EXIT_MOUNT after a message.
 */
enum exitcode mount_helper_parse(struct options *o, int argc, char **argv);

#endif
