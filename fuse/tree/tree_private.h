/* SPDX-License-Identifier: MIT */
/* tree_private.h - the state of a tree; for tree/ and views/ only. */
#ifndef TREE_PRIVATE_H
#define TREE_PRIVATE_H

#include "tree/base_index.h"
#include "tree/node_table.h"
#include "tree/tree.h"

enum { TREE_PROVIDERS = 24 }; /* kinds of virtual files, at most */

struct tree {
	struct qc_context *ctx;
	const struct source *src;
	struct tree_config config;
	pthread_mutex_t lock; /* names, tables, last references; see node.h */
	struct node_table nodes; /* lock */
	struct base_index bases;
	struct node *root;
	struct name *only; /* of the image, where SOURCE is one */
	const struct view_provider *provider[TREE_PROVIDERS]; /* constant while served */
	size_t nproviders;
	uint64_t seed; /* random, for hashes that are not shown */
};

/* Returns the index of a provider; t->nproviders: it is not registered. */
size_t tree_provider_index(const struct tree *t, const struct view_provider *p);

#endif
