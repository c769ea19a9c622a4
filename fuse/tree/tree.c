/* SPDX-License-Identifier: MIT */
#include "tree/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tree/base_index.h"
#include "tree/clone_image.h"
#include "tree/file_owner.h"
#include "tree/growing_disk.h"
#include "tree/image_file.h"
#include "tree/image_node.h"
#include "tree/mirror_dir.h"
#include "tree/name.h"
#include "tree/node_ops.h"
#include "tree/node_table.h"

/* ---- names ---------------------------------------------------------------- */

int tree_lookup(struct tree *t, struct node *dir, const char *name, struct node **out)
{
	return dir->is_dir ? dir->ops->lookup(t, dir, name, out) : -ENOTDIR;
}

int tree_list(struct tree *t, struct node *dir, struct listing *out)
{
	*out = (struct listing){ 0 };
	return dir->is_dir ? dir->ops->list(t, dir, out) : -ENOTDIR;
}

const struct node *tree_origin_of_name(struct tree *t, struct node *dir, const char *name)
{
	const struct node *n = NULL;
	struct name *nm;

	if (dir->origin != dir || !dir->is_dir)
		return dir->origin;
	pthread_mutex_lock(&t->lock);
	nm = name_find(dir, name);
	if (nm && name_is_live(nm))
		n = nm->owner ? nm->owner->node : nm->node;
	pthread_mutex_unlock(&t->lock);
	return n ? n : dir;
}

int tree_mkdir(struct tree *t, struct node *dir, const char *name, const struct tree_maker *by,
	       struct node **out)
{
	return dir->ops->mkdir ? dir->ops->mkdir(t, dir, name, by, out) : -EROFS;
}

int tree_create(struct tree *t, struct node *dir, const char *name, const struct tree_maker *by,
		struct node **out)
{
	return dir->ops->create ? dir->ops->create(t, dir, name, by, out) : -EROFS;
}

int tree_find_target(struct tree *t, struct node *dir, const char *target, struct node **out)
{
	return tree_makes_files(t) ? clone_image_find_base(t, dir, target, out) : -EROFS;
}

int tree_symlink(struct tree *t, struct node *dir, const char *name, const char *target,
		 struct node *base, const struct tree_maker *by, struct node **out)
{
	return dir->ops->symlink ? dir->ops->symlink(t, dir, name, target, base, by, out) : -EROFS;
}

int tree_unlink(struct tree *t, struct node *dir, const char *name)
{
	return dir->ops->unlink ? dir->ops->unlink(t, dir, name) : -EROFS;
}

int tree_rmdir(struct tree *t, struct node *dir, const char *name)
{
	return dir->ops->rmdir ? dir->ops->rmdir(t, dir, name) : -EROFS;
}

int tree_rename(struct tree *t, struct node *dir, const char *name, struct node *to_dir,
		const char *to)
{
	if (dir->ops->rename)
		return dir->ops->rename(t, dir, name, to_dir, to);
	return to_dir->ops->rename ? -EPERM : -EROFS;
}

/* ---- files ---------------------------------------------------------------- */

int tree_stat(struct tree *t, struct node *n, struct stat *st)
{
	return n->ops->getattr(t, n, st);
}

int tree_get_info(struct tree *t, struct node *n, struct node_info *out)
{
	*out = (struct node_info){ 0 };
	return n->ops->info ? n->ops->info(t, n, out) : 0;
}

int tree_statfs(struct tree *t, struct statvfs *st)
{
	return fstatvfs(t->src->dirfd, st) ? -errno : 0;
}

/* Compares the image with the last one that was opened for this node.  Returns whether the
 * kernel's cached pages are still true. */
static bool note_open(struct tree *t, struct node *n, const struct qc_image *img)
{
	struct qc_fingerprint now;
	bool keep;

	qc_get_fingerprint(img, &now);
	pthread_mutex_lock(&n->attr_lock);
	keep = n->has_fingerprint && n->fingerprint.times_reliable && n->fingerprint.exact == now.exact;
	if (n->has_fingerprint && n->fingerprint.content != now.content && !t->config.changing)
		atomic_fetch_add(&n->content_version, 1);
	n->opens++;
	n->has_fingerprint = true;
	n->fingerprint = now;
	pthread_mutex_unlock(&n->attr_lock);
	return keep;
}

int tree_open(struct tree *t, struct node *n, bool write, struct qc_image **out, bool *keep)
{
	int r;

	if (n->is_dir)
		return -EISDIR;
	r = n->ops->open ? n->ops->open(t, n, write, out) : -EOPNOTSUPP;
	if (r)
		return r;
	*keep = note_open(t, n, *out);
	if (write && t->config.create && n->origin == n)
		growing_disk_begin(n, *out);
	return 0;
}

int tree_open_text(struct tree *t, struct node *n, struct shared_buf **out)
{
	return n->ops->open_text ? n->ops->open_text(t, n, out) : -EOPNOTSUPP;
}

int tree_open_first(struct tree *t, struct node *n, struct qc_image **out, struct qc_reason *why)
{
	return image_file_open_first(t, n, out, why);
}

/* ---- the tree ------------------------------------------------------------- */

struct node *tree_root(struct tree *t)
{
	return t->root;
}

struct node *tree_only(struct tree *t)
{
	return t->only ? t->only->node : NULL;
}

/* The maker of an image cannot know the seed, nor the hashes that come of it. */
static uint64_t make_random_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		seed = (uint64_t)getpid();
	return seed;
}

static int stat_source(const struct source *src, const char *path, struct identity *out)
{
	int fd = source_open_path(src, path, O_PATH), r;
	struct stat st;

	if (fd < 0)
		return fd;
	r = fstat(fd, &st) ? -errno : 0;
	close(fd);
	*out = identity_of(&st);
	return r;
}

static int make_root_dir(struct tree *t)
{
	struct identity id;
	int r = stat_source(t->src, "", &id);

	if (r)
		return r;
	t->root = node_new_of_dir(t, &id);
	if (!t->root)
		return -ENOMEM;
	t->root->nlookup = 1;
	t->root->parent = t->root;
	return 0;
}

static int make_nodes(struct tree *t, bool in_dir)
{
	struct identity id;
	int r = in_dir ? make_root_dir(t) : 0;

	if (r || !t->src->only)
		return r;
	r = stat_source(t->src, t->src->only, &id);
	if (r)
		return r;
	if (in_dir)
		return name_add_image(t, t->root, t->src->only, false, &id, &t->only);
	t->only = name_new_of_root(t, t->src->only, &id);
	if (!t->only)
		return -ENOMEM;
	t->root = t->only->node;
	return 0;
}

int tree_new(struct qc_context *ctx, const struct source *src, const struct tree_config *config,
	     bool in_dir, struct tree **out)
{
	struct tree *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->ctx = ctx;
	t->src = src;
	t->config = *config;
	t->dir_ops = &mirror_dir_ops;
	t->image_ops = &image_node_ops;
	t->names_version = 1;
	t->seed = make_random_seed();
	pthread_mutex_init(&t->lock, NULL);
	t->bases = base_index_new();
	t->nodes = node_table_new();
	r = t->bases && t->nodes ? make_nodes(t, in_dir) : -ENOMEM;
	if (r)
		tree_free(t);
	else
		*out = t;
	return r;
}

void tree_free(struct tree *t)
{
	struct node *n;

	if (t->only && t->root == t->only->node)
		name_free(t, t->only);
	else if (t->root)
		name_free_all(t, t->root);
	while (t->nodes && (n = node_table_any(t->nodes)))
		node_free_locked(t, n);
	node_table_free(t->nodes);
	base_index_free(t->bases);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

int tree_register_views(struct tree *t, const struct view_provider *p)
{
	assert(t->nproviders < TREE_PROVIDERS);
	t->provider[t->nproviders++] = p;
	return t->only ? name_add_views_of(t, t->only, p) : 0;
}

bool tree_shows_views(const struct tree *t, const struct view_provider *p)
{
	for (size_t i = 0; i < t->nproviders; i++)
		if (t->provider[i] == p)
			return true;
	return false;
}

int tree_set_owner(struct tree *t, struct node *n, const struct tree_maker *to)
{
	return file_owner_set(t, n, to);
}

int tree_sync_dir(struct tree *t, struct node *dir)
{
	return tree_makes_files(t) && dir->ops == &mirror_dir_ops ? mirror_dir_sync(t, dir) : 0;
}

bool tree_creates(const struct tree *t)
{
	return tree_makes_files(t);
}

void tree_set_readonly(struct tree *t)
{
	t->config.ro = true;
}
