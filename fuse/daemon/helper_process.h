/* SPDX-License-Identifier: MIT */
/* helper_process.h - the first steps of a process that the daemon forks to help it. */
#ifndef HELPER_PROCESS_H
#define HELPER_PROCESS_H

#include <stddef.h>

enum { HELPER_FDS_MAX = 4 };

/*
 * helper_process_begin() - separate a new process from the daemon
 * @argv: of main(); overwritten, so that ps(1) shows the name
 * @name: at most 15 bytes
 * @keep: descriptors to keep, at most HELPER_FDS_MAX; -1 counts as none
 *
 * Ignores signals: one to the process group is for the daemon, which still needs the helper.
 * Closes all other descriptors: an image or a pipe that the helper holds open would stay locked, or
 * without an end.  Leaves the session and the folder of the daemon.  Exits if it cannot.
 */
void helper_process_begin(char **argv, const char *name, const int *keep, size_t n);

#endif
