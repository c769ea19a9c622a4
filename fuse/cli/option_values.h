/* SPDX-License-Identifier: MIT */
/* option_values.h - what stands behind the = of an option. */
#ifndef OPTION_VALUES_H
#define OPTION_VALUES_H

#include <stdbool.h>

/* A whole number up to max, with `suffix` perhaps with a K, M or G behind it.
 * -EINVAL. */
int option_value_number(const char *text, unsigned long long max, bool suffix,
		 unsigned long long *out);

/* The path, seen from the current folder; to be freed.  NULL: no memory. */
char *option_value_absolute(const char *path);

#endif
