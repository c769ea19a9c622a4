/* SPDX-License-Identifier: MIT */
/* places.h - the files that the daemon will open, from its options. */
#ifndef PLACES_H
#define PLACES_H

#include "options.h"
#include "sandbox.h"
#include "source.h"

/* Fills *s, to be freed.  `overlays` is the folder that those are in, or -1.  -errno. */
int places_find(struct sandbox *s, const struct options *o, const struct source *src,
		int overlays);

#endif
