/* SPDX-License-Identifier: MIT */
#include "tree/raw_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/hash_bytes.h"

static const char RAW[] = ".raw";

/* Returns the length of the name without an ending that image files have. */
static size_t image_stem_length(const char *file)
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

char *raw_name_cut(char *name, size_t max)
{
	const size_t mark = 18;
	size_t keep = max - mark;
	char *out;

	if (!name || strlen(name) <= max)
		return name;
	/* Bytes whose top two bits are 10 continue a UTF-8 character. */
	while (keep > max - mark - 3 && ((unsigned char)name[keep] & 0xc0) == 0x80)
		keep--;
	if (asprintf(&out, "%.*s%%~%016" PRIx64, (int)keep, name,
		     hash_bytes(0, name, strlen(name))) < 0)
		out = NULL;
	free(name);
	return out;
}

/* Returns the first n bytes of a name and a suffix.  The bytes are cut, not the suffix. */
static char *join_cut(const char *name, size_t n, const char *suffix)
{
	char *stem = raw_name_cut(strndup(name, n), RAW_NAME_MAX - strlen(suffix));
	char *out;

	if (!stem || asprintf(&out, "%s%s", stem, suffix) < 0)
		out = NULL;
	free(stem);
	return out;
}

char *raw_name(const char *file)
{
	return join_cut(file, image_stem_length(file), RAW);
}

char *raw_name_full(const char *file)
{
	return join_cut(file, strlen(file), RAW);
}

char *raw_name_of_view(const char *shown, const char *suffix)
{
	return join_cut(shown, strlen(shown) - strlen(RAW), suffix);
}
