/* SPDX-License-Identifier: MIT */
#include "tree/node_table.h"

#include <stdlib.h>

#include "tree/tree_fields.h"
#include "util/hash_bytes.h"

enum { FIRST_SLOTS = 256 };

struct node_table {
	struct node **by_ino, **by_file;
	size_t slots; /* of each; a power of two */
	size_t n;     /* nodes in by_ino */
	size_t first; /* no slot of by_ino before this one is used; for node_table_any() only */
};

struct node_table *node_table_new(void)
{
	struct node_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->slots = FIRST_SLOTS;
	t->by_ino = calloc(t->slots, sizeof(struct node *));
	t->by_file = calloc(t->slots, sizeof(struct node *));
	if (t->by_ino && t->by_file)
		return t;
	node_table_free(t);
	return NULL;
}

void node_table_free(struct node_table *t)
{
	if (!t)
		return;
	free(t->by_ino);
	free(t->by_file);
	free(t);
}

static struct node **ino_slot(const struct node_table *t, uint64_t ino)
{
	return &t->by_ino[hash_bytes(0, &ino, sizeof(ino)) & (t->slots - 1)];
}

static struct node **file_slot(const struct node_table *t, dev_t dev, ino_t ino)
{
	uint64_t key[] = { dev, ino };

	return &t->by_file[hash_bytes(0, key, sizeof(key)) & (t->slots - 1)];
}

static void insert_by_ino(struct node_table *t, struct node *n)
{
	struct node **slot = ino_slot(t, n->ino);

	n->ino_next = *slot;
	*slot = n;
}

static void insert_by_file(struct node_table *t, struct node *n)
{
	struct node **slot = file_slot(t, n->image.id.dev, n->image.id.ino);

	n->image.table_next = *slot;
	*slot = n;
}

/* Doubles the tables; without memory the chains just get longer. */
static void grow_tables(struct node_table *t)
{
	struct node_table old = *t;
	struct node **by_ino = calloc(2 * t->slots, sizeof(struct node *));
	struct node **by_file = calloc(2 * t->slots, sizeof(struct node *));

	if (!by_ino || !by_file) {
		free(by_ino);
		free(by_file);
		return;
	}
	t->by_ino = by_ino;
	t->by_file = by_file;
	t->slots *= 2;
	for (size_t i = 0; i < old.slots; i++) {
		for (struct node *n = old.by_ino[i], *next; n; n = next) {
			next = n->ino_next;
			insert_by_ino(t, n);
		}
		for (struct node *n = old.by_file[i], *next; n; n = next) {
			next = n->image.table_next;
			insert_by_file(t, n);
		}
	}
	free(old.by_ino);
	free(old.by_file);
}

struct node *node_table_find(const struct node_table *t, uint64_t ino)
{
	struct node *n = *ino_slot(t, ino);

	while (n && n->ino != ino)
		n = n->ino_next;
	return n;
}

void node_table_add(struct node_table *t, struct node *n)
{
	if (t->n >= t->slots)
		grow_tables(t);
	n->ino &= INT64_MAX; /* some programs read it as a signed number */
	while (n->ino < 2 || node_table_find(t, n->ino))
		n->ino = (n->ino + 1) & INT64_MAX;
	insert_by_ino(t, n);
	t->n++;
}

void node_table_remove(struct node_table *t, struct node *n)
{
	struct node **p = ino_slot(t, n->ino);

	while (*p != n)
		p = &(*p)->ino_next;
	*p = n->ino_next;
	t->n--;
}

struct node *node_table_any(struct node_table *t)
{
	while (t->first < t->slots && !t->by_ino[t->first])
		t->first++;
	return t->first < t->slots ? t->by_ino[t->first] : NULL;
}

void node_table_add_image(struct node_table *t, struct node *image)
{
	insert_by_file(t, image);
}

void node_table_remove_image(struct node_table *t, struct node *image)
{
	struct node **p = file_slot(t, image->image.id.dev, image->image.id.ino);

	while (*p && *p != image)
		p = &(*p)->image.table_next;
	if (*p)
		*p = image->image.table_next;
}

struct node *node_table_find_image(const struct node_table *t, dev_t dev, ino_t ino)
{
	struct node *n = *file_slot(t, dev, ino);

	while (n && (n->image.id.dev != dev || n->image.id.ino != ino))
		n = n->image.table_next;
	return n;
}

void node_table_for_each_image(const struct node_table *t,
			       void (*each)(struct node *, void *), void *arg)
{
	for (size_t i = 0; i < t->slots; i++)
		for (struct node *n = t->by_file[i]; n; n = n->image.table_next)
			each(n, arg);
}
