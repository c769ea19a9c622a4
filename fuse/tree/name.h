/* SPDX-License-Identifier: MIT */
/*
 * name.h - names in the directories of SOURCE: like the kernel's dentries.
 *
 * A name leads to an image, a directory, or a virtual file beside an image.  It is never given
 * to something else for the life of the mount: when its file goes, the name stays, `gone`; when
 * another file replaces its file, the name leads to that one.
 *
 * Call with tree.lock held, except for name_path_of_image() and name_state_of().
 */
#ifndef NAME_H
#define NAME_H

#include "tree/node.h"
#include "tree/node_ops.h"
#include "tree/tree_fields.h"

/* NULL: the directory never had it. */
struct name *name_find(const struct node *dir, const char *shown);
struct name *name_find_file(const struct node *dir, const char *file, bool is_dir);

/* Whether something can be found by the name now. */
bool name_is_live(const struct name *nm);

/*
 * name_add_dir() - show a directory of SOURCE
 *
 * Return: 0, also if an image has its name: then the log says so; -ENOMEM.
 */
int name_add_dir(struct tree *t, struct node *dir, const char *file, const struct identity *id);

/* Shows a new image under a name that was never used in the directory.  -ENOMEM. */
int name_add_image(struct tree *t, struct node *dir, const char *file, bool is_link,
		   const struct identity *id, struct name **out);

/*
 * name_change_file() - give a name to another file of the directory, which is not there yet
 *
 * The file that @nm was given to has gone.  If @file had a name that is gone, too, that name gets
 * the old file in return.  Return: 0; -ENOMEM, and @nm is never found by a file again.
 */
int name_change_file(struct node *dir, struct name *nm, const char *file);

/* Lets the name lead to the image `id`, which replaced another, or came back.  -ENOMEM. */
int name_set_image(struct tree *t, struct name *nm, bool is_link, const struct identity *id);

/* The file of the name has gone, and with a directory all below it. */
void name_set_gone(struct tree *t, struct name *nm);

/* Makes the virtual files of one provider for an image, by the provider's suffix.  -ENOMEM. */
int name_add_views_of(struct tree *t, struct name *image, const struct view_provider *p);

/*
 * name_add_view() - show a virtual file beside an image
 * @suffix:  repeated until the name was never used in the directory
 * @data:    kept in the name, and freed with it
 *
 * Return: the name; NULL: no memory, and @data is still the caller's.
 */
struct name *name_add_view(struct tree *t, struct name *owner, const struct view_provider *p,
			   const char *suffix, void *data);

/* Hides a virtual file, or shows it again with other data; its old node is detached. */
void name_remove_view(struct tree *t, struct name *view);
void name_replace_view(struct tree *t, struct name *view, void *data);

/* Returns the node of a live name, with one more reference; NULL: no memory. */
struct node *name_ref_node(struct tree *t, struct name *nm);

/* Returns the path in SOURCE, to be freed; "" is the root.  NULL: no memory. */
char *name_path(const struct name *nm);

/* Returns the path of a directory of SOURCE, likewise.  Takes tree.lock. */
char *name_path_of_dir(struct tree *t, const struct node *dir);

/* Returns the i-th path of an image in SOURCE, to be freed, the preferred one first; NULL: there
 * are no more, or no memory.  Takes tree.lock. */
char *name_path_of_image(struct tree *t, const struct node *image, size_t i);

/* Calls each() with all names of a directory, in byte order. */
void name_for_each(const struct node *dir, void (*each)(struct name *, void *), void *arg);

/* Makes the name of an image that is the root of the mount.  NULL: no memory. */
struct name *name_new_of_root(struct tree *t, const char *file, const struct identity *id);

/* Returns the state of a provider for an image's name.  Needs no lock. */
void **name_state_of(const struct tree *t, struct name *nm, const struct view_provider *p);

/* Frees a name, and all names below it. */
void name_free(struct tree *t, struct name *nm);
void name_free_all(struct tree *t, struct node *dir);

#endif
