/* SPDX-License-Identifier: MIT */
#include "tree/raw_name.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static size_t stem_length(const char *file)
{
	static const char *const endings[] = { ".qcow", ".qcow2", ".qcow3",
					       ".qc2",	".cow",	  ".img" };
	size_t len = strlen(file);

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t n = strlen(endings[i]);

		if (len > n && !strcasecmp(file + len - n, endings[i]))
			return len - n;
	}
	return len;
}

char *raw_name(const char *file)
{
	char *name;

	return asprintf(&name, "%.*s.raw", (int)stem_length(file), file) < 0 ? NULL : name;
}

char *raw_name_full(const char *file)
{
	char *name;

	return asprintf(&name, "%s.raw", file) < 0 ? NULL : name;
}
