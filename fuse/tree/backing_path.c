/* SPDX-License-Identifier: MIT */
#include "tree/backing_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


bool backing_path_is_needed(const struct tree *t)
{
	return !t->src->only && !t->config.ro && !t->config.cow &&
	       (!t->config.write_base || t->config.create);
}

/* Returns the rest of a path that is `dir` or below it, by its letters; else NULL. */
static const char *rest_below(const char *path, const char *dir)
{
	size_t n = strcmp(dir, "/") ? strlen(dir) : 0;

	if (strncmp(path, dir, n) || (path[n] && path[n] != '/'))
		return NULL;
	return path + n + strspn(path + n, "/");
}

/* Applies -o backing-map, as the core does when it opens the file. */
static char *map_path(const struct tree *t, const char *dir, const char *name)
{
	char *path;

	for (size_t i = 0; i < t->config.npath_maps; i++) {
		const struct qc_path_map *m = &t->config.path_maps[i];
		const char *rest = rest_below(name, m->old_prefix);

		if (rest)
			return asprintf(&path, "%s%s%s", m->new_prefix, *rest ? "/" : "", rest) < 0 ?
				       NULL :
				       path;
	}
	return asprintf(&path, "%s%s", *name == '/' ? "" : dir, name) < 0 ? NULL : path;
}

/* Removes empty components, "." and "dir/.." from a path, in place.  A ".." that leaves SOURCE
 * stays. */
static void normalize_path(char *path)
{
	char *out = path, *floor = path; /* all components before `floor` are ".." */

	for (char *part = path, *next; part; part = next) {
		size_t n = strcspn(part, "/");
		bool up = n == 2 && !strncmp(part, "..", 2);

		next = part[n] ? part + n + 1 : NULL;
		if (!n || (n == 1 && *part == '.'))
			continue;
		if (up && out > floor) {
			do
				out--;
			while (out > floor && *out != '/');
			continue;
		}
		if (out > path)
			*out++ = '/';
		memmove(out, part, n);
		out += n;
		if (up)
			floor = out;
	}
	*out = 0;
}

/* Returns the path of a file that an image names, to be freed; NULL: none, or no path. */
static char *path_of_name(const struct tree *t, const char *dir, const char *recorded)
{
	const char *rest = NULL;
	char *name = qc_backing_path(recorded), *path = name ? map_path(t, dir, name) : NULL, *below;

	free(name);
	if (!path)
		return NULL;
	if (*path == '/') {
		rest = rest_below(path, t->src->dir);
		if (!rest)
			rest = rest_below(path, t->src->as_given);
		if (!rest)
			return path;
	}
	/* SOURCE may be covered by this mount: only its descriptor leads to the images. */
	below = strdup(rest ? rest : path);
	free(path);
	if (below)
		normalize_path(below);
	return below;
}

void backing_path_read(const struct tree *t, const char *dir, int fd, struct image_paths *out)
{
	struct qc_backing_info info;
	struct qc_reason ignored;

	*out = (struct image_paths){ 0 };
	if (qc_read_backing_info(fd, &info, &ignored))
		return;
	out->backing = path_of_name(t, dir, info.backing);
	out->data_file = path_of_name(t, dir, info.data_file);
}

void backing_path_free(struct image_paths *p)
{
	free(p->backing);
	free(p->data_file);
	*p = (struct image_paths){ 0 };
}

static bool differ(const char *a, const char *b)
{
	return !a != !b || (a && b && strcmp(a, b));
}

void backing_path_set(struct tree *t, struct node *image, struct image_paths paths)
{
	struct image_paths *old = &image->image.paths;

	if (differ(old->backing, paths.backing) || differ(old->data_file, paths.data_file))
		t->names_version++;
	backing_path_free(old);
	*old = paths;
}
