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
	/* lock; another number whenever a name leads to another file, or an image has another
	 * backing file */
	uint64_t names_version;
	const struct node_ops *dir_ops, *image_ops; /* of nodes of SOURCE */
	struct node *root;
	struct name *only; /* of the image, where SOURCE is one */
	const struct view_provider *provider[TREE_PROVIDERS]; /* constant while served */
	size_t nproviders;
	uint64_t seed; /* random, for hashes that are not shown */
};

#endif
