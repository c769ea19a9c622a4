/* SPDX-License-Identifier: MIT */
/* snapshot_list.h - the snapshots of an image, as `qemu-img snapshot -l` lists them. */
#ifndef SNAPSHOT_LIST_H
#define SNAPSHOT_LIST_H

#include "commands/common.h"

/* Prints the list.  Reads headers only, so that no passphrase is needed.
 * Return: COMMAND_OK; COMMAND_FAILED after a message */
int snapshot_list_print(struct command *c, const char *path);

#endif
