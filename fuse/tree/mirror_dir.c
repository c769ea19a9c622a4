/* SPDX-License-Identifier: MIT */
/*
 * mirror_dir.c - a directory of SOURCE: its names are those of a scan, and of virtual files.
 *
 * A lookup of a known name checks the file by stat(2), with no lock held: the file may be on a
 * file system that hangs, and lookups of other names must not wait for it.  An unknown name
 * leads to a scan.
 */
#include "tree/mirror_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tree/clone_image.h"
#include "tree/listing.h"
#include "tree/make_image.h"
#include "tree/mirror_change.h"
#include "tree/mirror_subdir.h"
#include "tree/name.h"
#include "tree/scan.h"

/* ---- lookup --------------------------------------------------------------- */

/* Whether the file of an image or directory is still there, and still the same. */
static bool check_file_is_same(struct tree *t, const char *path, bool is_dir, const struct identity *id)
{
	int fd = source_open_path(t->src, path, O_PATH | (is_dir ? O_NOFOLLOW : 0));
	struct identity now;
	struct stat st;
	bool same = false;

	if (fd < 0)
		return false;
	if (!fstat(fd, &st)) {
		now = identity_of(&st);
		same = is_dir ? S_ISDIR(st.st_mode) : identity_same_file(&now, id);
	}
	close(fd);
	return same;
}

/* Finds a live name, with no look at its file.  The path is that of its file; NULL: do not ask
 * for one. */
static struct node *find_live(struct tree *t, struct node *dir, const char *name, char **path)
{
	struct node *n = NULL;
	struct name *nm;

	pthread_mutex_lock(&t->lock);
	nm = name_find(dir, name);
	if (nm && name_is_live(nm)) {
		n = name_ref_node(t, nm);
		if (n && path)
			*path = name_path(nm->owner ? nm->owner : nm);
	}
	pthread_mutex_unlock(&t->lock);
	return n;
}

static struct node *find_checked(struct tree *t, struct node *dir, const char *name)
{
	char *path = NULL;
	struct node *n = find_live(t, dir, name, &path);
	bool good = n && (t->src->only || (path && check_file_is_same(t, path, n->origin->is_dir,
								  &n->origin->image.id)));

	free(path);
	if (n && !good)
		node_forget(t, n, 1);
	return good ? n : NULL;
}

static int lookup_in_mirror(struct tree *t, struct node *dir, const char *name, struct node **out)
{
	int r = 0;

	for (size_t i = 0; i < t->nproviders; i++)
		if (t->provider[i]->refresh_for)
			t->provider[i]->refresh_for(t, dir, name);
	*out = find_checked(t, dir, name);
	if (*out)
		return 0;
	if (!t->src->only)
		r = tree_scan_for_new(t, dir);
	if (r)
		return r;
	*out = find_live(t, dir, name, NULL);
	return *out ? 0 : -ENOENT;
}

/* ---- listing -------------------------------------------------------------- */

struct collected {
	struct tree *t;
	struct listing *l;
	size_t room;
	bool images_only;
	int failed; /* -ENOMEM */
};

static void count_name(struct name *nm, void *n)
{
	(void)nm;
	++*(size_t *)n;
}

static void collect_name(struct name *nm, void *arg)
{
	struct collected *c = arg;
	struct node *n;

	if (!name_is_live(nm) || c->l->n == c->room || (c->images_only && (nm->owner || nm->is_dir)))
		return;
	n = name_ref_node(c->t, nm);
	if (n && listing_append(c->l, n, nm->shown))
		c->failed = -ENOMEM;
}

/* Lists the live names, with no look at their files. */
static int list_live(struct tree *t, struct node *dir, bool images_only, struct listing *out)
{
	struct collected c = { .t = t, .l = out, .images_only = images_only };
	int r;

	*out = (struct listing){ 0 };
	pthread_mutex_lock(&t->lock);
	name_for_each(dir, count_name, &c.room);
	r = listing_reserve(out, c.room);
	if (!r)
		name_for_each(dir, collect_name, &c);
	pthread_mutex_unlock(&t->lock);
	r = r ? r : c.failed;
	if (r)
		listing_free(t, out);
	return r;
}

static int list_mirror(struct tree *t, struct node *dir, struct listing *out)
{
	int r = t->src->only ? 0 : tree_scan(t, dir);

	if (r)
		return r;
	for (size_t i = 0; i < t->nproviders; i++)
		if (t->provider[i]->refresh)
			mirror_dir_refresh_views(t, t->provider[i], dir);
	return list_live(t, dir, false, out);
}

/* ---- views that come and go ------------------------------------------------ */

/* Calls refresh() for a name; the caller has a reference of the image. */
static void refresh_one(struct tree *t, const struct view_provider *p, struct node *dir,
			const char *shown, struct node *image)
{
	struct name *nm;

	pthread_mutex_lock(&t->lock);
	nm = name_find(dir, shown); /* never freed while the tree is served */
	pthread_mutex_unlock(&t->lock);
	p->refresh(t, nm, image, name_state_of(t, nm, p));
}

void mirror_dir_refresh_view_of(struct tree *t, const struct view_provider *p, struct node *dir,
			  const char *image)
{
	struct node *n = find_checked(t, dir, image);

	if (!n && !t->src->only && !tree_scan(t, dir))
		n = find_live(t, dir, image, NULL);
	if (!n)
		return;
	if (n->origin == n && !n->is_dir)
		refresh_one(t, p, dir, image, n);
	node_forget(t, n, 1);
}

void mirror_dir_refresh_views(struct tree *t, const struct view_provider *p, struct node *dir)
{
	struct listing l;

	if (list_live(t, dir, true, &l))
		return;
	for (size_t i = 0; i < l.n; i++)
		refresh_one(t, p, dir, l.name[i], l.node[i]);
	listing_free(t, &l);
}

/* ---- attributes ----------------------------------------------------------- */

int mirror_dir_sync(struct tree *t, struct node *dir)
{
	int fd = mirror_subdir_open(t, dir, O_RDONLY);
	int r = fd < 0 ? fd : fsync(fd) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return r;
}

static int getattr_of_mirror(struct tree *t, struct node *dir, struct stat *st)
{
	int fd = mirror_subdir_open(t, dir, O_PATH);
	int r = fd < 0 ? fd : fstat(fd, st) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (r)
		return r;
	st->st_mode = S_IFDIR | (st->st_mode & 0777 & (t->config.ro ? ~0222u : ~0u));
	node_finish_attr(t, dir, st);
	return 0;
}

static bool keep_mirror_dir(struct tree *t, struct node *dir)
{
	(void)t, (void)dir;
	return false; /* its name has it */
}

const struct node_ops mirror_dir_ops = {
	.lookup = lookup_in_mirror,
	.list = list_mirror,
	.mkdir = mirror_subdir_make,
	.create = make_image_create,
	.symlink = clone_image_make,
	.unlink = mirror_change_unlink,
	.rmdir = mirror_subdir_remove,
	.rename = mirror_change_rename,
	.getattr = getattr_of_mirror,
	.unused = keep_mirror_dir,
};
