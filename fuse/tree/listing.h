/* SPDX-License-Identifier: MIT */
/* listing.h - the entries of a directory, each with a reference of its node. */
#ifndef LISTING_H
#define LISTING_H

#include <stddef.h>

struct node;
struct tree;

struct listing {
	struct node **node;
	char **name;
	size_t n;
};

/* Makes room for @n entries in an empty listing.  -ENOMEM: still call listing_free(). */
int listing_reserve(struct listing *l, size_t n);

/* Adds an entry, and takes over a reference of the node.  -ENOMEM: still call listing_free(). */
int listing_append(struct listing *l, struct node *n, const char *name);

/* Drops the references, and leaves the listing empty. */
void listing_free(struct tree *t, struct listing *l);

#endif
