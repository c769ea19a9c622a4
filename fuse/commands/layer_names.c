/* SPDX-License-Identifier: MIT */
#include "commands/layer_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Returns @name relative to the directory of @path.  A name with a protocol stays as it is. */
static char *name_beside(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	char *full;

	if (*name == '/' || !slash || name[strcspn(name, ":/")] == ':')
		return strdup(name);
	if (asprintf(&full, "%.*s%s", (int)(slash + 1 - path), path, name) < 0)
		return NULL;
	return full;
}

/* Returns the name, or else the path if the name leads to another file. */
static char *name_or_path(char *name, const char *path)
{
	struct stat named, found;

	if (!name || (!stat(name, &named) && !stat(path, &found) && named.st_dev == found.st_dev &&
		      named.st_ino == found.st_ino))
		return name;
	free(name);
	return strdup(path);
}

/* Names layer @n + 1, and the data file of layer @n. */
static qc_err name_files_of_layer(struct layer_names *names, unsigned int n)
{
	const char *over = names->file[n];
	struct qc_layer_info f;
	qc_err r = qc_get_layer_info(names->img, n, &f);

	if (r)
		return r;
	if (f.data_path && *f.data_path) {
		names->data[n] = name_or_path(name_beside(over, f.data_file), f.data_path);
		r = names->data[n] ? 0 : -ENOMEM;
	}
	if (!r && n + 1 < qc_depth(names->img)) {
		names->file[n + 1] = name_or_path(name_beside(over, f.backing),
						  qc_layer_path(names->img, n + 1));
		r = names->file[n + 1] ? 0 : -ENOMEM;
	}
	qc_layer_info_free(&f);
	return r;
}

qc_err layer_names_find(struct layer_names *names, struct qc_image *img, const char *path)
{
	unsigned int depth = qc_depth(img);
	qc_err r = 0;

	*names = (struct layer_names){ img, calloc(depth, sizeof(char *)),
				       calloc(depth, sizeof(char *)) };
	if (!names->file || !names->data)
		return -ENOMEM;
	names->file[0] = strdup(path);
	if (!names->file[0])
		return -ENOMEM;
	for (unsigned int n = 0; !r && n < depth; n++)
		r = name_files_of_layer(names, n);
	return r;
}

void layer_names_free(struct layer_names *names)
{
	for (unsigned int n = 0; names->img && n < qc_depth(names->img); n++) {
		free(names->file ? names->file[n] : NULL);
		free(names->data ? names->data[n] : NULL);
	}
	free(names->file);
	free(names->data);
}

const char *layer_names_of(const struct layer_names *names, const struct qc_mapping *m)
{
	return names->data[m->depth] ? names->data[m->depth] : names->file[m->depth];
}
