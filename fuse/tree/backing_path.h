/* SPDX-License-Identifier: MIT */
/*
 * backing_path.h - the path of the backing file that an image of SOURCE names.
 *
 * A scan reads it from the header of each new image, along with the magic, and keeps it in the
 * image's node.  base_index.h makes an index of all these paths.
 */
#ifndef BACKING_PATH_H
#define BACKING_PATH_H

#include <stdbool.h>

struct node;
struct tree;

/* Returns true if the mount can write images, and must not write backing files. */
bool backing_path_is_needed(const struct tree *t);

/*
 * backing_path_read() - read the path of an image's backing file
 * @dir:  the image's directory in SOURCE, "" or with a slash at its end
 * @fd:   of the image file
 *
 * Return: a path to be freed, absolute or below SOURCE; NULL: none, or no path.
 */
char *backing_path_read(const struct tree *t, const char *dir, int fd);

/* Keeps @path in the node of the image, and consumes it.  NULL: none.  tree.lock is held. */
void backing_path_set(struct tree *t, struct node *image, char *path);

#endif
