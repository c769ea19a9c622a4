/* SPDX-License-Identifier: MIT */
#include "tree/base_index.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tree/backing_path.h"
#include "tree/name.h"
#include "tree/node_table.h"
#include "tree/scan.h"

/* An image, and its backing file or data file. */
struct base_user {
	bool is_data; /* the base is its data file */
	dev_t base_dev; /* both 0: not resolved */
	ino_t base_ino;
	dev_t dev; /* of the image */
	ino_t ino;
	char *base;    /* path of the backing file or data file */
	char *overlay; /* path, for messages */
};

struct base_index {
	pthread_mutex_t lock; /* before tree.lock */
	struct base_user *at; /* lock; sorted by the backing file's device and inode */
	const struct base_user **by_path; /* lock; sorted by its path */
	size_t n;	      /* lock; of both */
	uint64_t version;     /* lock; tree.names_version when the arrays were built */
};

static void free_users(struct base_user *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(at[i].base);
		free(at[i].overlay);
	}
	free(at);
}

struct base_index *base_index_new(void)
{
	struct base_index *b = calloc(1, sizeof(*b));

	if (b)
		pthread_mutex_init(&b->lock, NULL);
	return b;
}

void base_index_free(struct base_index *b)
{
	if (!b)
		return;
	free_users(b->at, b->n);
	free(b->by_path);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* ---- the array -------------------------------------------------------------- */

static int compare_users(const void *a, const void *b)
{
	const struct base_user *x = a, *y = b;

	if (x->base_dev != y->base_dev)
		return x->base_dev < y->base_dev ? -1 : 1;
	return (x->base_ino > y->base_ino) - (x->base_ino < y->base_ino);
}

struct collected_users {
	struct base_user *at;
	size_t n, room;
	uint64_t version; /* tree.names_version */
	bool failed;
};

static void count_overlay(struct node *image, void *arg)
{
	struct collected_users *c = arg;

	if (image->image.names)
		c->room += !!image->image.paths.backing + !!image->image.paths.data_file;
}

static void collect_user(struct collected_users *c, struct node *image, const char *base, bool is_data)
{
	struct base_user *u = &c->at[c->n];

	if (!base)
		return;
	*u = (struct base_user){ .is_data = is_data,
				 .dev = image->image.id.dev, .ino = image->image.id.ino,
				 .base = strdup(base),
				 .overlay = name_path(image->image.names) };
	c->failed = c->failed || !u->base || !u->overlay;
	c->n++;
}

static void collect_overlay(struct node *image, void *arg)
{
	if (!image->image.names)
		return;
	collect_user(arg, image, image->image.paths.backing, false);
	collect_user(arg, image, image->image.paths.data_file, true);
}

static int collect_overlays(struct tree *t, struct collected_users *c)
{
	pthread_mutex_lock(&t->lock);
	c->version = t->names_version;
	node_table_for_each_image(t->nodes, count_overlay, c);
	c->at = calloc(c->room + 1, sizeof(*c->at));
	if (c->at)
		node_table_for_each_image(t->nodes, collect_overlay, c);
	pthread_mutex_unlock(&t->lock);
	if (c->at && !c->failed)
		return 0;
	free_users(c->at, c->n);
	return -ENOMEM;
}

/* Finds out which files the paths lead to.  Never leaves the file system of SOURCE: another one
 * may hang, and this mount would have to answer its own request. */
static void resolve_bases(const struct tree *t, struct collected_users *c)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_XDEV };

	for (size_t i = 0; i < c->n; i++) {
		struct base_user *u = &c->at[i];
		long fd = syscall(SYS_openat2, t->src->dirfd, u->base, &how, sizeof(how));
		struct stat st;

		if (fd < 0)
			continue;
		if (!fstat((int)fd, &st)) {
			u->base_dev = st.st_dev;
			u->base_ino = st.st_ino;
		}
		close((int)fd);
	}
	if (c->n)
		qsort(c->at, c->n, sizeof(*c->at), compare_users);
}

static int compare_base_paths(const void *a, const void *b)
{
	return strcmp((*(const struct base_user *const *)a)->base,
		      (*(const struct base_user *const *)b)->base);
}

static const struct base_user **sort_by_path(const struct collected_users *c)
{
	const struct base_user **by_path = calloc(c->n + 1, sizeof(struct base_user *));

	for (size_t i = 0; by_path && i < c->n; i++)
		by_path[i] = &c->at[i];
	if (by_path && c->n)
		qsort(by_path, c->n, sizeof(struct base_user *), compare_base_paths);
	return by_path;
}

static int rebuild_if_stale(struct tree *t)
{
	struct base_index *b = t->bases;
	struct collected_users c = { 0 };
	const struct base_user **by_path;
	bool stale;
	int r;

	pthread_mutex_lock(&t->lock);
	stale = b->version != t->names_version;
	pthread_mutex_unlock(&t->lock);
	if (!stale)
		return 0;
	r = collect_overlays(t, &c);
	if (r)
		return r;
	resolve_bases(t, &c);
	by_path = sort_by_path(&c);
	if (!by_path) {
		free_users(c.at, c.n);
		return -ENOMEM;
	}
	free_users(b->at, b->n);
	free(b->by_path);
	b->at = c.at;
	b->by_path = by_path;
	b->n = c.n;
	b->version = c.version;
	return 0;
}

/* ---- asking ----------------------------------------------------------------- */

/* Returns the directories of an image's names and all above, each once, ended by NULL. */
static struct node **dirs_above(struct tree *t, const struct node *image)
{
	struct node **dir = NULL;
	size_t n = 0, room = 1;

	pthread_mutex_lock(&t->lock);
	for (const struct name *nm = image->image.names; nm; nm = nm->next)
		for (const struct name *i = nm; i; i = i->dir->dir.name)
			room++;
	dir = calloc(room, sizeof(struct node *));
	for (const struct name *nm = image->image.names; dir && nm; nm = nm->next)
		for (const struct name *i = nm; i; i = i->dir->dir.name) {
			size_t k = 0;

			while (k < n && dir[k] != i->dir)
				k++;
			dir[k] = i->dir;
			n += k == n;
		}
	pthread_mutex_unlock(&t->lock);
	return dir;
}

static bool is_same_path(const char *a, const char *b)
{
	return a && !strcmp(a, b);
}

/* Whether the user is there still: removing an image does not make the index stale, so that a
 * thousand overlays can be removed without building it a thousand times. */
static bool is_there(struct tree *t, const struct base_user *u)
{
	const struct node *n;
	bool there;

	pthread_mutex_lock(&t->lock);
	n = node_table_find_image(t->nodes, u->dev, u->ino);
	there = n && n->image.names &&
		is_same_path(u->is_data ? n->image.paths.data_file : n->image.paths.backing, u->base);
	pthread_mutex_unlock(&t->lock);
	return there;
}

/* Whether the overlay is another image, and is there: one that names itself as its backing file is
 * damaged. */
static bool is_user(struct tree *t, const struct base_user *u, const struct node *image)
{
	return (u->dev != image->image.id.dev || u->ino != image->image.id.ino) && is_there(t, u);
}

/* Calls back for the users of an image, until the function returns true.  b->lock is held. */
typedef bool found_user_fn(const struct base_user *u, void *arg);

static bool for_users_of_file(struct tree *t, const struct node *image,
			      found_user_fn *found, void *arg)
{
	struct base_user key = { .base_dev = image->image.id.dev,
				 .base_ino = image->image.id.ino };
	const struct base_index *b = t->bases;
	size_t low = 0, high = b->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_users(&b->at[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < b->n && !compare_users(&b->at[low], &key); low++)
		if (is_user(t, &b->at[low], image) && found(&b->at[low], arg))
			return true;
	return false;
}

/* Leaves out users whose path leads to the file: they are found by the file. */
static bool for_users_of_path(struct tree *t, const struct node *image,
			      const char *path, found_user_fn *found, void *arg)
{
	const struct base_index *b = t->bases;
	size_t low = 0, high = b->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(b->by_path[mid]->base, path) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < b->n && !strcmp(b->by_path[low]->base, path); low++)
		if (b->by_path[low]->base_ino != image->image.id.ino &&
		    is_user(t, b->by_path[low], image) && found(b->by_path[low], arg))
			return true;
	return false;
}

static void for_users(struct tree *t, const struct node *image, found_user_fn *found, void *arg)
{
	bool done = for_users_of_file(t, image, found, arg);
	char *path;

	for (size_t i = 0; !done && (path = name_path_of_image(t, image, i)); i++) {
		done = for_users_of_path(t, image, path, found, arg);
		free(path);
	}
}

static bool note_overlay(const struct base_user *u, void *arg)
{
	const struct base_user **first = arg;

	if (!u->is_data)
		*first = u;
	return *first;
}

int base_index_find_overlay(struct tree *t, struct node *image, struct qc_reason *why)
{
	const struct base_user *u = NULL;
	int r;

	if (!backing_path_is_needed(t) || t->config.write_base)
		return 0;
	pthread_mutex_lock(&t->bases->lock);
	r = rebuild_if_stale(t);
	if (!r)
		for_users(t, image, note_overlay, &u);
	if (u) {
		why->cause = QC_CAUSE_READONLY;
		snprintf(why->text, sizeof(why->text),
			 "cannot open for writing: it is the backing file of %s (write-base allows it)",
			 u->overlay);
		r = -EROFS;
	}
	pthread_mutex_unlock(&t->bases->lock);
	return r;
}

int base_index_check_write(struct tree *t, struct node *image, struct qc_reason *why)
{
	struct node **dir;

	if (!backing_path_is_needed(t) || t->config.write_base)
		return 0;
	dir = dirs_above(t, image);
	if (!dir)
		return -ENOMEM;
	for (size_t i = 0; dir[i]; i++)
		tree_scan_if_changed(t, dir[i]); /* what cannot be scanned stays as it was */
	free(dir);
	return base_index_find_overlay(t, image, why);
}

struct user_list {
	char *text;
	size_t room;
};

static bool list_user(const struct base_user *u, void *arg)
{
	struct user_list *l = arg;
	size_t used = strlen(l->text);

	if (used + strlen(u->overlay) + sizeof(", and others") >= l->room) {
		snprintf(l->text + used, l->room - used, "%s", used ? ", and others" : "another image");
		return true;
	}
	snprintf(l->text + used, l->room - used, "%s%s", used ? ", " : "", u->overlay);
	return false;
}

int base_index_list_users(struct tree *t, struct node *image, char *text, size_t n)
{
	struct user_list l = { .text = text, .room = n };
	int r;

	*text = 0;
	tree_scan_all(t);
	pthread_mutex_lock(&t->bases->lock);
	r = rebuild_if_stale(t);
	if (!r)
		for_users(t, image, list_user, &l);
	pthread_mutex_unlock(&t->bases->lock);
	return r ? r : *text ? -EBUSY : 0;
}
