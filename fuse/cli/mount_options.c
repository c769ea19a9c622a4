/* SPDX-License-Identifier: MIT */
/* mount_options.c - what is kept of the options, and passed on to libfuse. */
#include "cli/options.h"

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

void mount_options_free(struct options *o)
{
	for (size_t i = 0; i < o->npath_maps; i++) {
		free((char *)o->path_maps[i].old_prefix);
		free((char *)o->path_maps[i].new_prefix);
	}
	free(o->path_maps);
	free(o->cow_file);
	free(o->data_file);
	free(o->key_file);
	free(o->key_dir);
	free(o->pid_file);
	free(o->source);
	free(o->mountpoint);
	free(o->mount_options);
}
