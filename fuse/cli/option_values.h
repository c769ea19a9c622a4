/* SPDX-License-Identifier: MIT */
/* option_values.h - parse values of options. */
#ifndef OPTION_VALUES_H
#define OPTION_VALUES_H

#include <stdbool.h>

/* Parses a whole number up to @max; with @suffix a K, M or G may follow, for 1024 and its
 * powers.  Return: 0; -EINVAL. */
int option_value_number(const char *text, unsigned long long max, bool suffix,
		 unsigned long long *out);

/* Returns the path with the working directory before it, unless it is absolute; to be freed.
 * NULL: out of memory, or the working directory is gone. */
char *option_value_absolute(const char *path);

#endif
