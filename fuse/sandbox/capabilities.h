/* SPDX-License-Identifier: MIT */
/*
 * capabilities.h - keep only the capabilities of root that image files need.
 *
 * Images may belong to any user.  Reading all of them takes CAP_DAC_READ_SEARCH, writing them
 * CAP_DAC_OVERRIDE, and reading them with O_NOATIME CAP_FOWNER.  Making files for other users takes
 * CAP_CHOWN and CAP_FOWNER.  The others cannot come back.
 */
#ifndef CAPABILITIES_H
#define CAPABILITIES_H

#include <stdbool.h>
#include <stddef.h>

/* Drops all others, of the calling thread and of threads that it creates.  Return: 0; -errno. */
int capabilities_drop(bool write, bool create, bool noatime);

/* Appends the names of the capabilities that are left, for the log. */
void capabilities_report(char *text, size_t size);

#endif
