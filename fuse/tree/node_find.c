/* SPDX-License-Identifier: MIT */
#include "tree/node_find.h"

#include <errno.h>

#include "tree/node_ops.h"
#include "tree/node_table.h"
#include "tree/tree.h"
#include "tree/tree_fields.h"

enum { DEPTH_MAX = 200 }; /* of directories; a path of more is too long for the kernel */

struct node *node_find(struct tree *t, uint64_t ino)
{
	struct node *n;

	pthread_mutex_lock(&t->lock);
	n = node_table_find(t->nodes, ino);
	pthread_mutex_unlock(&t->lock);
	return n;
}

/* Takes a reference of a node in the table.  One that is losing its last reference under another
 * lock than tree.lock is not found any more. */
static struct node *reference_known_node(struct tree *t, uint64_t ino)
{
	struct node *n;
	uint64_t have;

	pthread_mutex_lock(&t->lock);
	n = node_table_find(t->nodes, ino);
	have = n ? n->nlookup : 0;
	while (n && (have || n->last_ref_lock == &t->lock))
		if (atomic_compare_exchange_weak(&n->nlookup, &have, have + 1))
			break;
	if (n && !have && n->last_ref_lock != &t->lock)
		n = NULL;
	pthread_mutex_unlock(&t->lock);
	return n;
}

static int find_below(struct tree *t, struct node *dir, uint64_t ino, unsigned int depth,
		      struct node **out);

/* Looks into the directories of a listing: those of SOURCE, or the virtual ones. */
static int find_in_dirs(struct tree *t, const struct listing *l, bool of_source, uint64_t ino,
			unsigned int depth, struct node **out)
{
	int r = -ESTALE;

	for (size_t i = 0; r == -ESTALE && i < l->n; i++)
		if (l->node[i]->is_dir && (l->node[i]->origin == l->node[i]) == of_source)
			r = find_below(t, l->node[i], ino, depth + 1, out);
	return r;
}

/* A directory that cannot be listed hides its files. */
static int find_below(struct tree *t, struct node *dir, uint64_t ino, unsigned int depth,
		      struct node **out)
{
	struct listing l;
	int r = depth < DEPTH_MAX ? tree_list(t, dir, &l) : -ELOOP;

	if (r)
		return r == -ENOMEM ? r : -ESTALE;
	r = -ESTALE;
	for (size_t i = 0; r && i < l.n; i++) {
		if (l.node[i]->ino != ino)
			continue;
		node_ref(l.node[i]);
		*out = l.node[i];
		r = 0;
	}
	if (r)
		r = find_in_dirs(t, &l, true, ino, depth, out);
	if (r == -ESTALE) /* these may open images */
		r = find_in_dirs(t, &l, false, ino, depth, out);
	listing_free(t, &l);
	return r;
}

int node_find_anywhere(struct tree *t, uint64_t ino, struct node **out)
{
	*out = reference_known_node(t, ino);
	if (*out)
		return 0;
	return t->root->is_dir ? find_below(t, t->root, ino, 0, out) : -ESTALE;
}
