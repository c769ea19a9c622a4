/* SPDX-License-Identifier: MIT */
#include "cli/mount_options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int mount_option_append(struct options *o, const char *name, const char *value)
{
	size_t have = o->mount_options ? strlen(o->mount_options) : 0;
	char *more = realloc(o->mount_options,
			     have + strlen(name) + 2 * (value ? strlen(value) : 0) + 3);
	char *p;

	if (!more)
		return -ENOMEM;
	o->mount_options = more;
	p = more + have;
	p += sprintf(p, "%s%s%s", have ? "," : "", name, value ? "=" : "");
	for (; value && *value; value++) {
		if (*value == ',' || *value == '\\')
			*p++ = '\\';
		*p++ = *value;
	}
	*p = 0;
	return 0;
}
