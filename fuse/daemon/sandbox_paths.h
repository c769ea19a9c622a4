/* SPDX-License-Identifier: MIT */
/*
 * sandbox_paths.h - rules for the files that the daemon will open.
 *
 * An option that makes the daemon open files in a further directory adds its rule here.
 */
#ifndef SANDBOX_PATHS_H
#define SANDBOX_PATHS_H

#include "cli/options.h"
#include "sandbox/sandbox.h"
#include "tree/source.h"

/*
 * sandbox_paths_collect() - fill *@s from the options
 * @overlays: descriptor of the directory of temporary overlays; -1: none
 * @overlays_have_names: an overlay has a name until it is open
 *
 * Call it before the mount, when no path leads into it.  *@s is to be freed also on failure.
 * Return: 0; -errno.
 */
int sandbox_paths_collect(struct sandbox *s, const struct options *o, const struct source *src,
			  int overlays, bool overlays_have_names);

#endif
