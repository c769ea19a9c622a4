/* SPDX-License-Identifier: MIT */
/*
 * backing_path.h - the paths of the backing file and of the data file that an image of SOURCE names.
 *
 * A scan reads them from the header of each new image, along with the magic, and keeps them in the
 * image's node.  base_index.h makes an index of all these paths.
 */
#ifndef BACKING_PATH_H
#define BACKING_PATH_H

#include <stdbool.h>

#include "tree/tree_fields.h"

/* Returns true if the mount can write or remove images that others need. */
bool backing_path_is_needed(const struct tree *t);

/*
 * backing_path_read() - read the paths of the files that an image needs
 * @dir:  the image's directory in SOURCE, "" or with a slash at its end
 * @fd:   of the image file
 * @out:  for backing_path_free()
 */
void backing_path_read(const struct tree *t, const char *dir, int fd, struct image_paths *out);
void backing_path_free(struct image_paths *p);

/* Keeps the paths in the node of the image, and consumes them.  tree.lock is held. */
void backing_path_set(struct tree *t, struct node *image, struct image_paths paths);

#endif
