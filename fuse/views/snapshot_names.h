/* SPDX-License-Identifier: MIT */
/*
 * snapshot_names.h - what snapshots are called in the mount.
 *
 * A name there is that in the image, with %XX for what a file name cannot hold or
 * would hide: `/`, control bytes, `%` and a leading dot.  An empty one is `%`.
 * All other bytes stay as they are, UTF-8 or not.
 */
#ifndef SNAPSHOT_NAMES_H
#define SNAPSHOT_NAMES_H

#include "qcow.h"

/* To be freed; NULL: no memory.  May be longer than a file name. */
char *snapshot_name_escape(const char *bytes, size_t len);

/* The reverse, to be freed.  -EINVAL if it is not what snapshot_name_escape() makes. */
int snapshot_name_unescape(const char *shown, char **bytes, size_t *len);

/* All of an image, each to be freed, and the array, too.  No two are the same: a
 * name that several have gets `@ID` behind it; if that is taken, also `@2`, `@3`
 * and so on, in the order of the table.  -ENOMEM. */
int snapshot_names(const struct qc_snapshots *s, char ***out);
void snapshot_names_free(char **names, size_t n);

#endif
