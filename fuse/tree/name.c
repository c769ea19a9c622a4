/* SPDX-License-Identifier: MIT */
#include "tree/name.h"

#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/backing_path.h"
#include "tree/node_table.h"
#include "tree/raw_name.h"
#include "util/report.h"

/* ---- finding -------------------------------------------------------------- */

static int compare_shown(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->shown, ((const struct name *)b)->shown);
}

static int compare_file(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	return order ? order : x->is_dir - y->is_dir;
}

struct name *name_find(const struct node *dir, const char *shown)
{
	struct name key = { .shown = (char *)shown };
	void *p = tfind(&key, &dir->dir.by_shown, compare_shown);

	return p ? *(struct name **)p : NULL;
}

struct name *name_find_file(const struct node *dir, const char *file, bool is_dir)
{
	struct name key = { .file = (char *)file, .is_dir = is_dir };
	void *p = tfind(&key, &dir->dir.by_file, compare_file);

	return p ? *(struct name **)p : NULL;
}

bool name_is_live(const struct name *nm)
{
	return !nm->gone && !(nm->owner && nm->owner->gone);
}

/* twalk(3) passes no argument along, and twalk_r(3) is in one C library only. */
static _Thread_local struct {
	void (*each)(struct name *, void *);
	void *arg;
} walk;

static void visit_name(const void *p, VISIT which, int depth)
{
	(void)depth;
	if (which == postorder || which == leaf)
		walk.each(*(struct name *const *)p, walk.arg);
}

void name_for_each(const struct node *dir, void (*each)(struct name *, void *), void *arg)
{
	void (*outer)(struct name *, void *) = walk.each;
	void *outer_arg = walk.arg;

	walk.each = each;
	walk.arg = arg;
	twalk(dir->dir.by_shown, visit_name);
	walk.each = outer;
	walk.arg = outer_arg;
}

/* ---- paths ---------------------------------------------------------------- */

char *name_path(const struct name *nm)
{
	size_t len = 0;
	char *path, *p;

	for (const struct name *i = nm; i; i = i->dir ? i->dir->dir.name : NULL)
		len += strlen(i->file) + 1;
	path = malloc(len + 1);
	if (!path)
		return NULL;
	p = path + len;
	*p = 0;
	for (const struct name *i = nm; i; i = i->dir ? i->dir->dir.name : NULL) {
		size_t part = strlen(i->file);

		if (*p)
			*--p = '/';
		p -= part;
		memcpy(p, i->file, part);
	}
	memmove(path, p, strlen(p) + 1);
	return path;
}

char *name_path_of_dir(struct tree *t, const struct node *dir)
{
	char *path;

	pthread_mutex_lock(&t->lock);
	path = dir->dir.name ? name_path(dir->dir.name) : strdup("");
	pthread_mutex_unlock(&t->lock);
	return path;
}

char *name_path_of_image(struct tree *t, const struct node *image, size_t i)
{
	const struct name *nm;
	char *path;

	pthread_mutex_lock(&t->lock);
	nm = image->image.names;
	while (nm && i--)
		nm = nm->next;
	path = nm ? name_path(nm) : NULL;
	pthread_mutex_unlock(&t->lock);
	return path;
}

/* ---- making --------------------------------------------------------------- */

/* Makes a name, and enters it in the trees of its directory.  Consumes `shown`. */
static struct name *enter_new_name(struct node *dir, const char *file, char *shown, bool is_dir)
{
	struct name *nm = calloc(1, sizeof(*nm));

	if (nm)
		*nm = (struct name){ .dir = dir, .shown = shown, .is_dir = is_dir, .gone = true };
	if (nm && file)
		nm->file = strdup(file);
	if (!nm || !shown || (file && !nm->file) ||
	    !tsearch(nm, &dir->dir.by_shown, compare_shown)) {
		if (nm)
			free(nm->file);
		free(nm);
		free(shown);
		return NULL;
	}
	if (file && !tsearch(nm, &dir->dir.by_file, compare_file)) {
		tdelete(nm, &dir->dir.by_shown, compare_shown);
		free(nm->file);
		free(nm);
		free(shown);
		return NULL;
	}
	return nm;
}

/* Returns a name for an image that was never used in the directory; the longer ones are for
 * images that come later.  NULL: no memory. */
static char *choose_image_name(struct node *dir, const char *file)
{
	char *name = raw_name(file);

	if (name && (name_find(dir, name) || !strcmp(name, ".raw"))) {
		free(name);
		name = raw_name_full(file);
	}
	while (name && name_find(dir, name)) {
		char *longer = raw_name_full(name);

		free(name);
		name = longer;
	}
	return name;
}

int name_add_dir(struct tree *t, struct node *dir, const char *file, const struct identity *id)
{
	struct name *nm;

	if (name_find(dir, file)) {
		report(QC_LOG_WARN, "folder %s is not shown: an image has its name", file);
		return 0;
	}
	nm = enter_new_name(dir, file, strdup(file), true);
	if (!nm)
		return -ENOMEM;
	nm->node = node_new_of_dir(t, id);
	if (!nm->node)
		return -ENOMEM; /* the name stays, gone */
	nm->node->parent = dir;
	nm->node->dir.name = nm;
	nm->scan = dir->dir.scan;
	nm->gone = false;
	return 0;
}

int name_add_image(struct tree *t, struct node *dir, const char *file, bool is_link,
		   const struct identity *id, struct name **out)
{
	struct name *nm = enter_new_name(dir, file, choose_image_name(dir, file), false);
	int r = nm ? name_set_image(t, nm, is_link, id) : -ENOMEM;

	for (size_t i = 0; !r && i < t->nproviders; i++)
		r = name_add_views_of(t, nm, t->provider[i]);
	*out = nm;
	return r;
}

struct name *name_new_of_root(struct tree *t, const char *file, const struct identity *id)
{
	struct name *nm = calloc(1, sizeof(*nm));

	if (!nm)
		return NULL;
	nm->file = strdup(file);
	nm->shown = strdup("");
	if (!nm->file || !nm->shown || name_set_image(t, nm, false, id)) {
		name_free(t, nm);
		return NULL;
	}
	return nm;
}

/* ---- images --------------------------------------------------------------- */

/* The node keeps its references, but can no longer be found. */
static void detach_view_node(struct name *view)
{
	if (view->node) {
		view->node->detached = true;
		view->node->view_name = NULL;
	}
	view->node = NULL;
}

/* Takes the name off its image, which is freed if nothing else leads to it. */
static void unlink_from_image(struct tree *t, struct name *nm)
{
	struct node *image = nm->node;
	struct name **p = &image->image.names;

	while (*p != nm)
		p = &(*p)->next;
	*p = nm->next;
	nm->node = NULL;
	for (struct name *v = nm->views; v; v = v->next_view)
		detach_view_node(v);
	if (!image->image.names) {
		image->detached = true;
		backing_path_free(&image->image.paths); /* the index finds out when it is asked */
		if (!image->nlookup)
			node_free_locked(t, image);
	}
}

/* Real names come before symbolic links: they say where the image's backing file is. */
static void link_to_image(struct tree *t, struct name *nm, struct node *image)
{
	struct name **p = &image->image.names;

	while (*p && (nm->is_link || !(*p)->is_link))
		p = &(*p)->next;
	nm->next = *p;
	*p = nm;
	nm->node = image;
	image->detached = false;
	t->names_version++;
}

int name_change_file(struct node *dir, struct name *nm, const char *file)
{
	struct name *other = name_find_file(dir, file, nm->is_dir);
	char *copy;

	if (other == nm)
		return 0;
	if (other) { /* exchanges the entries of the search tree, and the strings they are sorted by */
		void **mine = tfind(nm, &dir->dir.by_file, compare_file);
		void **others = tfind(other, &dir->dir.by_file, compare_file);

		copy = nm->file;
		nm->file = other->file;
		other->file = copy;
		*mine = other;
		*others = nm;
		return 0;
	}
	copy = strdup(file);
	if (!copy)
		return -ENOMEM;
	tdelete(nm, &dir->dir.by_file, compare_file);
	free(nm->file);
	nm->file = copy;
	return tsearch(nm, &dir->dir.by_file, compare_file) ? 0 : -ENOMEM;
}

int name_set_image(struct tree *t, struct name *nm, bool is_link, const struct identity *id)
{
	struct node *image = node_table_find_image(t->nodes, id->dev, id->ino);

	if (!image)
		image = node_new_of_image(t, id);
	if (!image)
		return -ENOMEM;
	if (nm->node != image || nm->is_link != is_link) {
		image->nlookup++; /* lives through the unlinking */
		if (nm->node)
			unlink_from_image(t, nm);
		nm->is_link = is_link;
		link_to_image(t, nm, image);
		image->nlookup--;
	}
	nm->gone = false;
	nm->checked = *id;
	if (nm->dir)
		nm->scan = nm->dir->dir.scan;
	return 0;
}

static void set_child_gone(struct name *nm, void *t)
{
	if (nm->file)
		name_set_gone(t, nm);
}

void name_set_gone(struct tree *t, struct name *nm)
{
	if (nm->gone)
		return;
	nm->gone = true;
	if (nm->is_dir)
		name_for_each(nm->node, set_child_gone, t);
	else
		unlink_from_image(t, nm);
}

/* ---- virtual files -------------------------------------------------------- */

struct name *name_add_view(struct tree *t, struct name *owner, const struct view_provider *p,
			   const char *suffix, void *data)
{
	char *shown = raw_name_of_view(owner->shown, suffix);
	struct name *view;

	(void)t;
	while (shown && name_find(owner->dir, shown)) {
		char *stem = shown;

		if (asprintf(&shown, "%s.raw", stem) < 0)
			shown = NULL;
		free(stem);
		stem = shown;
		shown = stem ? raw_name_of_view(stem, suffix) : NULL;
		free(stem);
	}
	view = enter_new_name(owner->dir, NULL, shown, false);
	if (!view)
		return NULL;
	view->owner = owner;
	view->provider = p;
	view->data = data;
	view->next_view = owner->views;
	owner->views = view;
	view->gone = false;
	return view;
}

int name_add_views_of(struct tree *t, struct name *image, const struct view_provider *p)
{
	if (image->node && p->writes_image)
		image->node->shares_writes = true;
	if (!p->suffix || !image->dir)
		return 0;
	return name_add_view(t, image, p, p->suffix, NULL) ? 0 : -ENOMEM;
}

void name_remove_view(struct tree *t, struct name *view)
{
	(void)t;
	detach_view_node(view);
	view->gone = true;
}

void name_replace_view(struct tree *t, struct name *view, void *data)
{
	(void)t;
	detach_view_node(view);
	free(view->data);
	view->data = data;
	view->gone = false;
}

void **name_state_of(const struct tree *t, struct name *nm, const struct view_provider *p)
{
	size_t i = 0;

	while (t->provider[i] != p)
		i++;
	return &nm->state[i];
}

struct node *name_ref_node(struct tree *t, struct name *nm)
{
	if (nm->node) {
		node_ref(nm->node);
	} else {
		nm->node = nm->provider->make(t, nm, nm->owner->node);
		if (nm->node)
			nm->node->view_name = nm;
	}
	return nm->node;
}

/* ---- the end -------------------------------------------------------------- */

static void keep_name_entry(void *p)
{
	(void)p;
}

void name_free(struct tree *t, struct name *nm)
{
	if (nm->is_dir && nm->node)
		name_free_all(t, nm->node);
	for (size_t i = 0; i < t->nproviders; i++)
		if (nm->state[i])
			t->provider[i]->free_state(nm->state[i]);
	free(nm->file);
	free(nm->shown);
	free(nm->data);
	free(nm);
}

void name_free_all(struct tree *t, struct node *dir)
{
	tdestroy(dir->dir.by_file, keep_name_entry); /* the same names */
	dir->dir.by_file = NULL;
	while (dir->dir.by_shown) {
		struct name *nm = *(struct name **)dir->dir.by_shown;

		tdelete(nm, &dir->dir.by_shown, compare_shown);
		name_free(t, nm);
	}
}
