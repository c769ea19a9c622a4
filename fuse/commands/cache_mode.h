/* SPDX-License-Identifier: MIT */
/* cache_mode.h - the options -t and -T of commands. */
#ifndef CACHE_MODE_H
#define CACHE_MODE_H

#include <stdbool.h>

/* Reads QEMU's names of cache modes.  *sync: data is to be on stable storage in the end.
 * Return: 0; -EINVAL */
int cache_mode_read(const char *value, bool *sync);

#endif
