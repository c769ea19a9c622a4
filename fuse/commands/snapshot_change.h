/* SPDX-License-Identifier: MIT */
/* snapshot_change.h - take, delete and go back to the snapshots of an image, by their names. */
#ifndef SNAPSHOT_CHANGE_H
#define SNAPSHOT_CHANGE_H

#include "commands/common.h"

/*
 * snapshot_change() - change one image
 * @action:  the letter of the option: 'c' takes a snapshot, 'd' deletes one, 'a' goes back to one
 * @name:    of the snapshot, or for 'd' and 'a' its ID, if no snapshot has that name
 *
 * The change is on stable storage when this function returns.
 * Return: COMMAND_OK; COMMAND_FAILED after a message
 */
int snapshot_change(struct command *c, const char *path, int action, const char *name);

#endif
