/* SPDX-License-Identifier: MIT */
/*
 * no_images.h - the files of a directory that were found to be no images.
 *
 * A file is opened once to read its magic, and then only after its identity has changed.  The
 * set has a hash of each identity.  A scan builds a new set, so that files that went are not
 * kept.
 */
#ifndef NO_IMAGES_H
#define NO_IMAGES_H

#include <stddef.h>
#include <stdint.h>

#include "tree/identity.h"

struct no_images {
	uint64_t *slot; /* open addressing; 0 is free */
	size_t slots;	/* a power of two, or 0 */
	size_t n;
};

bool no_images_contain(const struct no_images *s, uint64_t seed, const struct identity *id);

/* Without memory the file is just not remembered. */
void no_images_add(struct no_images *s, uint64_t seed, const struct identity *id);
void no_images_free(struct no_images *s);

#endif
