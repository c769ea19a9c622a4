/* SPDX-License-Identifier: MIT */
#include "cli/option_values.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int option_value_number(const char *text, unsigned long long max, bool suffix,
		 unsigned long long *out)
{
	unsigned int shift = 0;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (suffix && *end) {
		const char *unit = strchr("KMG", toupper((unsigned char)*end));

		if (!unit)
			return -EINVAL;
		shift = 10 * (unsigned int)(unit - "KMG" + 1);
		end++;
	}
	if (errno || *end || *out > max >> shift)
		return -EINVAL;
	*out <<= shift;
	return 0;
}

char *option_value_absolute(const char *path)
{
	char *cwd, *out;

	if (*path == '/')
		return strdup(path);
	cwd = getcwd(NULL, 0);
	if (!cwd || asprintf(&out, "%s/%s", cwd, path) < 0)
		out = NULL;
	free(cwd);
	return out;
}
