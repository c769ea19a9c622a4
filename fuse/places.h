/* SPDX-License-Identifier: MIT */
/* places.h - the files that the daemon will open, from its options. */
#ifndef PLACES_H
#define PLACES_H

#include "options.h"
#include "sandbox.h"
#include "source.h"

/* Fills *s, to be freed.  -errno. */
int places_find(struct sandbox *s, const struct options *o, const struct source *src);

#endif
