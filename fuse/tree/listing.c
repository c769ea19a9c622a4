/* SPDX-License-Identifier: MIT */
#include "tree/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/node.h"

int listing_reserve(struct listing *l, size_t n)
{
	l->node = calloc(n + 1, sizeof(*l->node));
	l->name = calloc(n + 1, sizeof(*l->name));
	return l->node && l->name ? 0 : -ENOMEM;
}

int listing_append(struct listing *l, struct node *n, const char *name)
{
	l->node[l->n] = n;
	l->name[l->n] = strdup(name);
	return l->name[l->n++] ? 0 : -ENOMEM;
}

void listing_free(struct tree *t, struct listing *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->name[i]);
		node_forget(t, l->node[i], 1);
	}
	free(l->name);
	free(l->node);
	*l = (struct listing){ 0 };
}
