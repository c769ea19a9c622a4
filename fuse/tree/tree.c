/* SPDX-License-Identifier: MIT */
#include "tree/tree.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "views/partition_files.h"
#include "tree/scan.h"
#include "views/view.h"

/* ---- lookup and listing --------------------------------------------------- */

/* Whether the node's file is still there, and still what it was. */
static bool still_there(struct tree *t, const struct node *n, const struct identity *then)
{
	char *path = node_path(n);
	int fd = path ? source_open_path(t->src, path, O_PATH | (n->folder ? O_NOFOLLOW : 0)) :
			-ENOMEM;
	struct identity id;
	struct stat st;
	bool same = false;

	free(path);
	if (fd < 0)
		return false;
	if (!fstat(fd, &st)) {
		id = identity_of(&st);
		same = n->folder ? S_ISDIR(st.st_mode) : identity_same_file(&id, then);
	}
	close(fd);
	return same;
}

static struct node *find(struct node *folder, const char *name)
{
	struct node *n = node_find_shown(folder, name);

	return n ? n : node_find_view(folder, name);
}

const struct node *tree_origin(const struct node *n)
{
	return n->view ? n->view->image : n;
}

/* Under the parent's lock. */
static void hold(struct node *n)
{
	if (n->view)
		view_ref(n);
	else
		node_ref(n);
}

const struct node *tree_origin_of_name(struct node *folder, const char *name)
{
	const struct node *n;

	if (!folder->folder || folder->view)
		return tree_origin(folder);
	pthread_mutex_lock(&folder->lock);
	n = find(folder, name);
	n = tree_origin(n ? n : folder);
	pthread_mutex_unlock(&folder->lock);
	return n;
}

/* A node that is known, and still there.  That is seen without the lock: the file may
 * be where everything takes long, and who looks for others is not to wait for it. */
static struct node *find_known(struct tree *t, struct node *folder, const char *name)
{
	struct identity then;
	struct node *n;

	pthread_mutex_lock(&folder->lock);
	n = find(folder, name);
	if (n && tree_origin(n)->gone)
		n = NULL;
	if (n) {
		hold(n);
		then = tree_origin(n)->checked;
	}
	pthread_mutex_unlock(&folder->lock);
	if (!n || t->src->only || still_there(t, tree_origin(n), &then))
		return n;
	tree_forget(t, n, 1);
	return NULL;
}

int tree_lookup_plain(struct tree *t, struct node *folder, const char *name,
		      struct node **out)
{
	struct node *n;
	int r = 0;

	if (!folder->folder)
		return -ENOTDIR;
	if (folder->view)
		return view_lookup(t, folder, name, out);
	*out = find_known(t, folder, name);
	if (*out)
		return 0;
	if (!t->src->only)
		r = tree_scan(t, folder);
	pthread_mutex_lock(&folder->lock);
	n = find(folder, name);
	if (!r && (!n || tree_origin(n)->gone))
		r = -ENOENT;
	if (!r) {
		hold(n);
		*out = n;
	}
	pthread_mutex_unlock(&folder->lock);
	return r;
}

int tree_lookup(struct tree *t, struct node *folder, const char *name, struct node **out)
{
	if (t->look.partitions && folder->folder && !folder->view)
		partition_files_refresh_for(t, folder, name);
	return tree_lookup_plain(t, folder, name, out);
}

/* Unless they are the last. */
static bool give_up(struct node *n, uint64_t references)
{
	uint64_t have = n->references;

	while (have > references)
		if (atomic_compare_exchange_weak(&n->references, &have, have - references))
			return true;
	return false;
}

void tree_forget(struct tree *t, struct node *n, uint64_t references)
{
	struct node *folder = n->parent, *above = n->view ? n->view->above : NULL;

	if (give_up(n, references))
		return;
	pthread_mutex_lock(&folder->lock);
	assert(n->references >= references);
	if (atomic_fetch_sub(&n->references, references) > references)
		above = NULL;
	else if (n->view)
		view_release(n);
	else
		node_drop_if_unused(n);
	pthread_mutex_unlock(&folder->lock);
	if (above)
		tree_forget(t, above, 1);
}

static void count_child(struct node *n, void *list)
{
	(void)n;
	((struct listing *)list)->n++;
}

static void list_child(struct node *n, void *list)
{
	struct listing *l = list;

	if (tree_origin(n)->gone)
		return;
	hold(n);
	l->node[l->n++] = n;
}

/* All that is in a folder of SOURCE, as it is known. */
static int list_known(struct node *folder, struct listing *out)
{
	int r;

	*out = (struct listing){ 0 };
	pthread_mutex_lock(&folder->lock);
	node_each(folder->by_shown, count_child, out);
	node_each(folder->views, count_child, out);
	out->node = calloc(out->n + 1, sizeof(*out->node));
	out->n = 0;
	r = out->node ? 0 : -ENOMEM;
	if (!r) {
		node_each(folder->by_shown, list_child, out);
		node_each(folder->views, list_child, out);
	}
	pthread_mutex_unlock(&folder->lock);
	return r;
}

int tree_list(struct tree *t, struct node *folder, struct listing *out)
{
	int r;

	if (!folder->folder)
		return -ENOTDIR;
	*out = (struct listing){ 0 };
	if (folder->view)
		return view_list(t, folder, out);
	r = t->src->only ? 0 : tree_scan(t, folder);
	if (!r)
		r = list_known(folder, out);
	if (r || !t->look.partitions)
		return r;
	for (size_t i = 0; i < out->n; i++)
		partition_files_refresh(t, out->node[i]);
	tree_list_free(t, out);
	return list_known(folder, out);
}

void tree_list_free(struct tree *t, struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->name)
			free(l->name[i]);
		tree_forget(t, l->node[i], 1);
	}
	free(l->name);
	free(l->node);
}

/* ---- the tree -------------------------------------------------------------- */

struct node *tree_root(struct tree *t)
{
	return t->root;
}

struct node *tree_only(struct tree *t)
{
	return t->only;
}

int tree_statfs(struct tree *t, struct statvfs *st)
{
	return fstatvfs(t->src->dirfd, st) ? -errno : 0;
}

/* Nobody who makes an image is to know what numbers come of it. */
static uint64_t random_seed(void)
{
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) < 0)
		seed = (uint64_t)getpid();
	return seed;
}

int tree_new(struct qc_context *ctx, const struct source *src, const struct tree_config *look,
	     bool in_folder, struct tree **out)
{
	bool image_is_root = src->only && !in_folder;
	struct tree *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->ctx = ctx;
	t->src = src;
	t->look = *look;
	t->seed = random_seed();
	t->root = node_new(t, NULL, image_is_root ? src->only : "", strdup(""), !image_is_root);
	r = t->root ? 0 : -ENOMEM;
	if (!r && src->only && in_folder)
		r = node_add(t, t->root, src->only, false, NULL);
	if (!r && src->only)
		t->only = in_folder ? node_find_file(t->root, src->only) : t->root;
	if (r)
		tree_free(t);
	else
		*out = t;
	return r;
}

void tree_free(struct tree *t)
{
	if (t->root)
		node_free(t->root);
	free(t);
}

void tree_set_readonly(struct tree *t)
{
	t->look.ro = true;
}
