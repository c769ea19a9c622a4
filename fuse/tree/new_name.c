/* SPDX-License-Identifier: MIT */
#include "tree/new_name.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/raw_name.h"
#include "util/report.h"

static const char RAW[] = ".raw";

static bool is_shown_as(const char *file, const char *shown)
{
	char *name = raw_name(file);
	bool same = name && !strcmp(name, shown);

	free(name);
	return same;
}

int new_name_of_image(const char *shown, const char *ending, char **file)
{
	size_t n = strlen(shown), raw = sizeof(RAW) - 1;

	*file = NULL;
	if (n <= raw || strcmp(shown + n - raw, RAW) != 0) {
		report(QC_LOG_ERROR, "%s: cannot become an image: the name does not end in .raw", shown);
		return -EPERM;
	}
	if (n - raw + strlen(ending) > RAW_NAME_MAX)
		return -ENAMETOOLONG;
	if (asprintf(file, "%.*s%s", (int)(n - raw), shown, ending) < 0) {
		*file = NULL;
		return -ENOMEM;
	}
	if (is_shown_as(*file, shown))
		return 0;
	report(QC_LOG_ERROR, "%s: cannot become an image: the file %s would have another name here",
	       shown, *file);
	free(*file);
	*file = NULL;
	return -EPERM;
}

const char *new_name_ending(const char *file)
{
	char *name = raw_name(file);
	size_t n = name ? strlen(name) - (sizeof(RAW) - 1) : 0;
	/* A name that keeps its ending is longer than the file's by .raw. */
	bool replaced = name && n < strlen(file) && !strncmp(name, file, n);

	free(name);
	return replaced ? file + n : "";
}
