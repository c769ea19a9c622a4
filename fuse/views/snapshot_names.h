/* SPDX-License-Identifier: MIT */
/*
 * snapshot_names.h - names of snapshots in the mount.
 *
 * A shown name is the name in the image, with %XX for bytes that a file name cannot have or that
 * would hide it: `/`, control bytes, `%` and a leading dot.  An empty name is shown as `%`.  All
 * other bytes stay, UTF-8 or not.
 */
#ifndef SNAPSHOT_NAMES_H
#define SNAPSHOT_NAMES_H

#include "qcow.h"

/* Converts a name for the mount.  Returns it, to be freed; it may be longer than a file name may
 * be.  NULL: no memory. */
char *snapshot_name_escape(const char *bytes, size_t len);

/*
 * snapshot_name_unescape() - convert a name of the mount to the name in the image
 * @bytes:  out: to be freed, with a NUL appended
 * @len:    out: without that NUL
 *
 * Return: 0; -EINVAL snapshot_name_escape() makes no such name; -ENOMEM.
 */
int snapshot_name_unescape(const char *shown, char **bytes, size_t *len);

/*
 * snapshot_names() - name all snapshots of an image for the mount
 * @out:  an array in the order of @s, to be freed with snapshot_names_free()
 *
 * No two names are the same: if several snapshots have one name, each gets `@ID` appended, and
 * if that is taken also `@2`, `@3` and so on, in the order of @s.
 * Return: 0; -ENOMEM.
 */
int snapshot_names(const struct qc_snapshots *s, char ***out);
void snapshot_names_free(char **names, size_t n);

#endif
