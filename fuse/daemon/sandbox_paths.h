/* SPDX-License-Identifier: MIT */
/* sandbox_paths.h - the files that the daemon will open, from its options. */
#ifndef SANDBOX_PATHS_H
#define SANDBOX_PATHS_H

#include "cli/options.h"
#include "sandbox/sandbox.h"
#include "tree/source.h"

/* Fills *s, to be freed.  `overlays` is the folder that those are in, or -1.  -errno. */
int sandbox_paths_collect(struct sandbox *s, const struct options *o, const struct source *src,
		int overlays);

#endif
