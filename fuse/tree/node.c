/* SPDX-License-Identifier: MIT */
#include "tree/node.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tree/cow_overlay.h"
#include "tree/raw_name.h"
#include "views/partition_files.h"
#include "util/report.h"
#include "views/view.h"

/* ---- nodes ---------------------------------------------------------------- */

struct identity identity_of(const struct stat *st)
{
	return (struct identity){ st->st_dev, st->st_ino, st->st_size, st->st_mtim,
				  st->st_ctim };
}

bool identity_same_file(const struct identity *a, const struct identity *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool identity_same_content(const struct identity *a, const struct identity *b)
{
	return identity_same_file(a, b) && a->size == b->size && same_time(a->mtime, b->mtime) &&
	       same_time(a->ctime, b->ctime);
}

bool identity_times_reliable(const struct identity *id)
{
	const int64_t tick = 50000000;
	struct timespec t;
	int64_t now, m, c;

	clock_gettime(CLOCK_REALTIME, &t);
	now = t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
	m = id->mtime.tv_sec * INT64_C(1000000000) + id->mtime.tv_nsec;
	c = id->ctime.tv_sec * INT64_C(1000000000) + id->ctime.tv_nsec;
	return now - m > tick && now - c > tick;
}

struct node *node_new(struct tree *t, struct node *parent, const char *file, char *shown,
		      bool folder)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n)
		n->file = strdup(file);
	if (!n || !n->file || !shown) {
		free(shown);
		if (n)
			free(n->file);
		free(n);
		return NULL;
	}
	n->ino = ++t->last_ino;
	n->folder = folder;
	n->parent = parent ? parent : n;
	n->shown = shown;
	pthread_mutex_init(&n->lock, NULL);
	pthread_mutex_init(&n->scanning, NULL);
	pthread_mutex_init(&n->facts, NULL);
	pthread_mutex_init(&n->over_lock, NULL);
	return n;
}

static void keep_node(void *p)
{
	(void)p;
}

void node_free(void *p)
{
	struct node *n = p;

	if (n->view)
		view_free(n);
	if (n->parts)
		partition_files_free(n->parts);
	for (int i = 0; i < IMAGE_VIEWS; i++)
		if (n->view_of[i])
			node_free(n->view_of[i]);
	tdestroy(n->views, keep_node); /* their images have them */
	tdestroy(n->by_file, keep_node); /* the same nodes */
	tdestroy(n->by_shown, node_free);
	while (n->replaced) {
		struct node *old = n->replaced;

		n->replaced = old->next;
		node_free(old);
	}
	pthread_mutex_destroy(&n->lock);
	pthread_mutex_destroy(&n->scanning);
	pthread_mutex_destroy(&n->facts);
	pthread_mutex_destroy(&n->over_lock);
	cow_overlay_free(n->overlay);
	free(n->file);
	free(n->shown);
	free(n->said);
	free(n);
}

static int by_shown(const void *a, const void *b)
{
	return strcmp(((const struct node *)a)->shown, ((const struct node *)b)->shown);
}

static int by_file(const void *a, const void *b)
{
	return strcmp(((const struct node *)a)->file, ((const struct node *)b)->file);
}

struct node *node_find_shown(struct node *folder, const char *name)
{
	struct node key = { .shown = (char *)name };
	void *p = tfind(&key, &folder->by_shown, by_shown);

	return p ? *(struct node **)p : NULL;
}

struct node *node_find_file(struct node *folder, const char *name)
{
	struct node key = { .file = (char *)name };
	void *p = tfind(&key, &folder->by_file, by_file);

	return p ? *(struct node **)p : NULL;
}

struct node *node_find_view(struct node *folder, const char *name)
{
	struct node key = { .shown = (char *)name };
	void *p = tfind(&key, &folder->views, by_shown);

	return p ? *(struct node **)p : NULL;
}

/* twalk(3) passes nothing along, and twalk_r(3) is in one C library only. */
static _Thread_local struct {
	void (*each)(struct node *, void *);
	void *arg;
} walk;

static void walk_by(const void *p, VISIT which, int depth)
{
	(void)depth;
	if (which == postorder || which == leaf)
		walk.each(*(struct node *const *)p, walk.arg);
}

void node_each(const void *nodes, void (*each)(struct node *, void *), void *arg)
{
	walk.each = each;
	walk.arg = arg;
	twalk(nodes, walk_by);
}

bool node_is_folder(const struct node *n)
{
	return n->folder;
}

const char *node_name(const struct node *n)
{
	return n->shown;
}

struct node *node_parent(const struct node *n)
{
	return n->parent;
}

uint64_t node_ino(const struct node *n)
{
	return n->ino;
}

void node_ref(struct node *n)
{
	n->references++;
}

char *node_path(const struct node *n)
{
	size_t len = 1;
	char *path, *p;

	for (const struct node *i = n; i->parent != i; i = i->parent)
		len += strlen(i->file) + 1;
	if (n->parent == n)
		return strdup(n->file); /* "", or the one image */
	path = malloc(len);
	if (!path)
		return NULL;
	p = path + len - 1;
	*p = 0;
	for (const struct node *i = n; i->parent != i; i = i->parent) {
		size_t part = strlen(i->file);

		if (*p)
			*--p = '/';
		p -= part;
		memcpy(p, i->file, part);
	}
	memmove(path, p, strlen(p) + 1);
	return path;
}

/* ---- names ---------------------------------------------------------------- */

static bool is_taken(struct node *folder, const char *name)
{
	return node_find_shown(folder, name) || node_find_view(folder, name);
}

/* A name that nobody in the folder has had; the longer ones are for those who
 * come later.  NULL if there is no memory. */
static char *free_name(struct node *folder, const char *file)
{
	char *name = raw_name(file);

	if (name && (is_taken(folder, name) || !strcmp(name, ".raw"))) {
		free(name);
		name = raw_name_full(file);
	}
	while (name && is_taken(folder, name)) {
		char *longer = raw_name_full(name);

		free(name);
		name = longer;
	}
	return name;
}

char *node_free_name(struct node *folder, const char *shown, const char *ending)
{
	int stem = (int)strlen(shown) - (int)strlen(".raw");
	char *name, *longer;

	if (asprintf(&name, "%.*s%s", stem, shown, ending) < 0)
		return NULL;
	while (is_taken(folder, name)) {
		if (asprintf(&longer, "%s%s", name, ending) < 0)
			longer = NULL;
		free(name);
		name = longer;
		if (!name)
			break;
	}
	return name;
}

int node_index_view(struct node *folder, struct node *view)
{
	struct node **place = tsearch(view, &folder->views, by_shown);

	if (!place)
		return -ENOMEM;
	*place = view;
	return 0;
}

void node_unindex_view(struct node *folder, struct node *view)
{
	tdelete(view, &folder->views, by_shown);
}

struct node *node_find_former(struct node *folder, const char *file)
{
	char *names[] = { raw_name(file), raw_name_full(file) };
	struct node *found = NULL;

	for (int i = 0; i < 2 && names[i] && !found; i++) {
		struct node *n = node_find_shown(folder, names[i]);

		if (n && !n->folder && !strcmp(n->file, file))
			found = n;
	}
	free(names[0]);
	free(names[1]);
	return found;
}

int node_add(struct tree *t, struct node *folder, const char *file, bool is_folder,
	     const struct identity *checked)
{
	char *shown = is_folder ? strdup(file) : free_name(folder, file);
	struct node *n, **place;

	if (is_folder && is_taken(folder, file)) {
		free(shown);
		report(QC_LOG_WARN, "folder %s is not shown: an image has its name", file);
		return 0;
	}
	n = node_new(t, folder, file, shown, is_folder);
	if (!n)
		return -ENOMEM;
	n->seen = folder->scans;
	if (checked)
		n->checked = *checked;
	if (!tsearch(n, &folder->by_shown, by_shown)) {
		node_free(n);
		return -ENOMEM;
	}
	place = tsearch(n, &folder->by_file, by_file);
	if (!place) {
		tdelete(n, &folder->by_shown, by_shown);
		node_free(n);
		return -ENOMEM;
	}
	*place = n; /* a folder in place of an image, or the reverse, perhaps */
	return is_folder ? 0 : views_add(t, n);
}

void node_drop_if_unused(struct node *n)
{
	struct node **p = &n->parent->replaced;

	if (!n->detached || n->references)
		return;
	while (*p != n)
		p = &(*p)->next;
	*p = n->next;
	node_free(n);
}

int node_replace(struct tree *t, struct node *old, const struct identity *checked)
{
	struct node *folder = old->parent;
	char *shown = strdup(old->shown);
	struct node *n = node_new(t, folder, old->file, shown, old->folder);
	void *p;

	if (!n)
		return -ENOMEM;
	if (views_transfer(t, n, old)) {
		node_free(n);
		return -ENOMEM;
	}
	n->seen = folder->scans;
	n->checked = *checked;
	p = tfind(old, &folder->by_shown, by_shown);
	*(struct node **)p = n;
	p = tfind(old, &folder->by_file, by_file);
	*(struct node **)p = n;
	old->detached = true;
	old->next = folder->replaced;
	folder->replaced = old;
	node_drop_if_unused(old);
	return 0;
}
