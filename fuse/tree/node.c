/* SPDX-License-Identifier: MIT */
#include "tree/node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "tree/cow_overlay.h"
#include "tree/node_ops.h"
#include "tree/node_table.h"
#include "tree/tree_fields.h"
#include "util/hash_bytes.h"

/* ---- lifetime ------------------------------------------------------------- */

struct node *node_new(struct tree *t, const struct node_ops *ops, bool is_dir, uint64_t wanted,
		      struct node *held)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->ops = ops;
	n->is_dir = is_dir;
	n->ino = wanted;
	n->nlookup = 1;
	n->last_ref_lock = &t->lock;
	n->origin = held ? held->origin : n;
	n->held = held;
	n->range.len = UINT64_MAX;
	pthread_mutex_init(&n->attr_lock, NULL);
	if (is_dir)
		pthread_mutex_init(&n->dir.lock, NULL);
	else if (!held)
		pthread_mutex_init(&n->image.overlay_lock, NULL);
	if (held)
		held->nlookup++;
	node_table_add(t->nodes, n);
	return n;
}

static uint64_t ino_of_file(const struct identity *id)
{
	uint64_t key[] = { id->dev, id->ino };

	return hash_bytes(0, key, sizeof(key));
}

struct node *node_new_of_dir(struct tree *t, const struct identity *id)
{
	struct node *n = node_new(t, t->dir_ops, true, ino_of_file(id), NULL);

	if (!n)
		return NULL;
	n->nlookup = 0;
	n->dir.dev = id->dev;
	n->dir.ino = id->ino;
	return n;
}

struct node *node_new_of_image(struct tree *t, const struct identity *id)
{
	struct node *n = node_new(t, t->image_ops, false, ino_of_file(id), NULL);

	if (!n)
		return NULL;
	n->nlookup = 0;
	n->image.id = *id;
	for (size_t i = 0; i < t->nproviders; i++)
		n->shares_writes = n->shares_writes || t->provider[i]->writes_image;
	node_table_add_image(t->nodes, n);
	return n;
}

static void free_image_fields(struct node *n)
{
	pthread_mutex_destroy(&n->image.overlay_lock);
	cow_overlay_free(n->image.overlay);
	free(n->image.paths.backing);
	free(n->image.paths.data_file);
	free(n->image.last_error);
}

void node_free_locked(struct tree *t, struct node *n)
{
	node_table_remove(t->nodes, n);
	if (n->ops->free)
		n->ops->free(n);
	if (n->is_dir) {
		pthread_mutex_destroy(&n->dir.lock);
		no_images_free(&n->dir.no_images);
	} else if (n->origin == n) {
		node_table_remove_image(t->nodes, n);
		free_image_fields(n);
	}
	pthread_mutex_destroy(&n->attr_lock);
	free(n);
}

/* Drops references without a lock, unless the last one is among them. */
static bool drop_unless_last(struct node *n, uint64_t references)
{
	uint64_t have = n->nlookup;

	while (have > references)
		if (atomic_compare_exchange_weak(&n->nlookup, &have, have - references))
			return true;
	return false;
}

/* Whether nothing leads to a node without a reference.  Its last_ref_lock is held. */
static bool is_unreachable(struct tree *t, struct node *n)
{
	if (n->ops->unused)
		return n->ops->unused(t, n);
	if (n->view_name)
		n->view_name->node = NULL;
	return true;
}

void node_forget(struct tree *t, struct node *n, uint64_t references)
{
	while (n && !drop_unless_last(n, references)) {
		struct node *held = n->held;
		pthread_mutex_t *last_ref_lock = n->last_ref_lock;
		bool dead;

		pthread_mutex_lock(last_ref_lock);
		assert(n->nlookup >= references);
		dead = atomic_fetch_sub(&n->nlookup, references) == references &&
		       is_unreachable(t, n);
		if (dead && last_ref_lock != &t->lock)
			pthread_mutex_lock(&t->lock);
		if (dead)
			node_free_locked(t, n);
		if (dead && last_ref_lock != &t->lock)
			pthread_mutex_unlock(&t->lock);
		pthread_mutex_unlock(last_ref_lock);
		n = dead ? held : NULL;
		references = 1;
	}
}

/* ---- fields --------------------------------------------------------------- */

bool node_is_dir(const struct node *n)
{
	return n->is_dir;
}

bool node_is_text(const struct node *n)
{
	return n->ops->open_text;
}

uint64_t node_ino(const struct node *n)
{
	return n->ino;
}

struct node *node_parent(const struct node *n)
{
	return n->parent;
}

void node_ref(struct node *n)
{
	n->nlookup++;
}

const struct node *node_origin(const struct node *n)
{
	return n->origin;
}

struct byte_range node_range(const struct node *n)
{
	return n->range;
}

atomic_bool *node_written_mark(const struct node *n)
{
	return n->origin->is_dir ? NULL : &n->origin->image.written;
}

bool node_shares_writes(const struct node *n)
{
	return n->shares_writes;
}

bool node_follows_writes(const struct node *n)
{
	return n->shares_writes || n->follows_writes;
}

unsigned int node_content_version(const struct node *n)
{
	return atomic_load_explicit(&n->content_version, memory_order_relaxed);
}

uint64_t node_ino_of_part(const struct node *n, const void *part, size_t len)
{
	return hash_bytes(n->ino, part, len);
}

void node_close(struct node *n, struct qc_image *img)
{
	qc_close(img);
	pthread_mutex_lock(&n->attr_lock);
	n->opens--;
	if (!n->opens && n->growing) {
		n->growing = false;
		n->image.probed = false;
	}
	pthread_mutex_unlock(&n->attr_lock);
}

/* ---- attributes ----------------------------------------------------------- */

void node_finish_attr(const struct tree *t, struct node *n, struct stat *st)
{
	st->st_ino = n->ino;
	st->st_mode &= ~t->config.mask;
	if (t->config.set_uid)
		st->st_uid = t->config.uid;
	if (t->config.set_gid)
		st->st_gid = t->config.gid;
	pthread_mutex_lock(&n->attr_lock);
	n->last_attr = *st;
	pthread_mutex_unlock(&n->attr_lock);
}

int node_last_attr(struct node *n, struct stat *st)
{
	int r;

	pthread_mutex_lock(&n->attr_lock);
	r = n->opens && n->last_attr.st_ino ? 0 : -ESTALE;
	*st = n->last_attr;
	pthread_mutex_unlock(&n->attr_lock);
	return r;
}
