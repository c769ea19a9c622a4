/* SPDX-License-Identifier: MIT */
/*
 * capabilities.h - of root's capabilities those that image files need.
 *
 * Images belong to anybody: to read all of them takes DAC_READ_SEARCH, to write
 * them DAC_OVERRIDE, and to read them without a trace (O_NOATIME) FOWNER.  Nothing
 * else is kept, nor can it come back.
 */
#ifndef CAPABILITIES_H
#define CAPABILITIES_H

#include <stdbool.h>
#include <stddef.h>

/* For the calling thread and those that it makes.  -errno. */
int capabilities_drop(bool write, bool noatime);

/* Appends what is left, for the log. */
void capabilities_report(char *text, size_t size);

#endif
