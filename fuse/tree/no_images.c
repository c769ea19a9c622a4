/* SPDX-License-Identifier: MIT */
#include "tree/no_images.h"

#include <stdlib.h>

#include "util/hash_bytes.h"

/* With a random seed, no user can make a file that is taken for another one. */
static uint64_t hash_identity(uint64_t seed, const struct identity *id)
{
	uint64_t v[] = { id->dev, id->ino, (uint64_t)id->size,
			 (uint64_t)id->mtime.tv_sec, (uint64_t)id->mtime.tv_nsec,
			 (uint64_t)id->ctime.tv_sec, (uint64_t)id->ctime.tv_nsec };
	uint64_t h = hash_bytes(seed, v, sizeof(v));

	return h ? h : 1;
}

/* Returns the slot of a hash, or the free one where it belongs. */
static uint64_t *find_hash_slot(const struct no_images *s, uint64_t h)
{
	size_t i = h & (s->slots - 1);

	while (s->slot[i] && s->slot[i] != h)
		i = (i + 1) & (s->slots - 1);
	return &s->slot[i];
}

bool no_images_contain(const struct no_images *s, uint64_t seed, const struct identity *id)
{
	return s->slots && *find_hash_slot(s, hash_identity(seed, id));
}

static bool grow_set(struct no_images *s)
{
	struct no_images more = { .slots = s->slots ? 2 * s->slots : 64 };

	more.slot = calloc(more.slots, sizeof(*more.slot));
	if (!more.slot)
		return false;
	for (size_t i = 0; i < s->slots; i++)
		if (s->slot[i])
			*find_hash_slot(&more, s->slot[i]) = s->slot[i];
	more.n = s->n;
	free(s->slot);
	*s = more;
	return true;
}

void no_images_add(struct no_images *s, uint64_t seed, const struct identity *id)
{
	uint64_t h = hash_identity(seed, id), *slot;

	if (2 * s->n >= s->slots && !grow_set(s))
		return;
	slot = find_hash_slot(s, h);
	s->n += !*slot;
	*slot = h;
}

void no_images_free(struct no_images *s)
{
	free(s->slot);
	*s = (struct no_images){ 0 };
}
