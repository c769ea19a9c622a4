/* SPDX-License-Identifier: MIT */
/*
 * tree.h - the directories and files of a mount.
 *
 * Called by the FUSE callbacks and by the start of the daemon.  The tree mirrors SOURCE: its
 * directories, and its images as raw files.  Virtual files beside an image come from providers
 * (node_ops.h).  A directory is read when it is looked into, and an image is opened when its
 * file is opened.
 *
 * Functions that return int return 0 or -errno.
 */
#ifndef TREE_H
#define TREE_H

#include <sys/statvfs.h>

#include "tree/listing.h"
#include "tree/node.h"
#include "tree/node_info.h"
#include "tree/source.h"
#include "tree/tree_config.h"
#include "tree/tree_maker.h"

struct shared_buf;
struct view_provider;

/*
 * tree_new() - make the tree of a mount
 * @src:     stays the caller's, and must outlive the tree
 * @config:  copied; its pointers must stay valid as long as the tree
 * @in_dir:  the mountpoint is a directory; else the root of the mount is the one image
 *
 * Return: 0; -ENOMEM; else the error of stat(2) on SOURCE.
 */
int tree_new(struct qc_context *ctx, const struct source *src, const struct tree_config *config,
	     bool in_dir, struct tree **out);
void tree_free(struct tree *t);

/* Adds a kind of virtual file.  Call before the mount is served.  -ENOMEM. */
int tree_register_views(struct tree *t, const struct view_provider *p);

/* Returns true if a provider has been registered. */
bool tree_shows_views(const struct tree *t, const struct view_provider *p);

/* Finds the image that a symbolic link in @dir would lead to, by a path from there, or by an absolute
 * one below the mountpoint.  *out has a reference.  Return: 0; -EPERM it is no image; -EROFS. */
int tree_find_target(struct tree *t, struct node *dir, const char *target, struct node **out);

/*
 * tree_symlink() - make an overlay of an image
 * @base:  what tree_find_target() has found for @target; NULL: nothing
 * @out:   a symbolic link, of which the kernel keeps no name
 *
 * Return: 0; -EPERM there is no base, or no overlay can have it: see the log; -EBUSY it is open for
 * writing; -EIO it cannot be used; else as tree_create().
 */
int tree_symlink(struct tree *t, struct node *dir, const char *name, const char *target,
		 struct node *base, const struct tree_maker *by, struct node **out);

/* Brings the names of a directory to stable storage, if the mount makes some.  Return: 0; as
 * fsync(2). */
int tree_sync_dir(struct tree *t, struct node *dir);

/* Whether images and directories can be made in it. */
bool tree_creates(const struct tree *t);

/* Makes the tree read-only.  Call before the mount is served. */
void tree_set_readonly(struct tree *t);

struct node *tree_root(struct tree *t);
struct node *tree_only(struct tree *t); /* the image, where SOURCE is one; else NULL */

/* Finds a name in a directory.  Returns its node with one reference more. */
int tree_lookup(struct tree *t, struct node *dir, const char *name, struct node **out);

/*
 * tree_origin_of_name() - the image or directory of SOURCE that a lookup will use
 *
 * Reads no file: answers from the last scan, and with @dir for an unknown name.  The result has
 * no reference: compare it, do not use it.
 */
const struct node *tree_origin_of_name(struct tree *t, struct node *dir, const char *name);

/* Lists a directory; free *out with listing_free(). */
int tree_list(struct tree *t, struct node *dir, struct listing *out);

int tree_stat(struct tree *t, struct node *n, struct stat *st);
/* Describes a file or folder; call node_info_free() in each case.  Other kinds leave *out empty. */
int tree_get_info(struct tree *t, struct node *n, struct node_info *out);

int tree_statfs(struct tree *t, struct statvfs *st); /* of the file system of SOURCE */

/*
 * tree_open() - open the image of a file
 * @write:  for writing, too
 * @out:    to be closed with node_close()
 * @keep:   out: the kernel's cached pages of the file are still true
 *
 * Return: 0; -ESTALE another file took the name: look it up again; -EROFS; -EBUSY another
 * program has the image locked; -EACCES no key, or not permitted; -EIO see the log.
 */
int tree_open(struct tree *t, struct node *n, bool write, struct qc_image **out, bool *keep);

/* Opens a text file (node_is_text()); give the text back with shared_buf_put(). */
int tree_open_text(struct tree *t, struct node *n, struct shared_buf **out);

/*
 * tree_open_first() - open an image, and report a failure to the caller instead of the log
 *
 * Close the image with qc_close().  With -o cow=FILE it also checks that FILE can be written.
 */
int tree_open_first(struct tree *t, struct node *n, struct qc_image **out,
		    struct qc_reason *why);

/* Changes of a directory, by operations of its kind; -EROFS where the kind has none.  *out has a
 * reference. */
int tree_mkdir(struct tree *t, struct node *dir, const char *name, const struct tree_maker *by,
	       struct node **out);
int tree_unlink(struct tree *t, struct node *dir, const char *name);
int tree_rmdir(struct tree *t, struct node *dir, const char *name);
int tree_rename(struct tree *t, struct node *dir, const char *name, struct node *to_dir,
		const char *to);

/*
 * tree_set_owner() - change owner, group and mode of a file in SOURCE, if the mount makes files
 * @to:  -1: stays as it is
 *
 * Return: 0, also if nothing is to be changed; -EROFS, -EPERM it cannot be changed; else the error
 * of the file system of SOURCE.
 */
int tree_set_owner(struct tree *t, struct node *n, const struct tree_maker *to);

/*
 * tree_create() - make an empty image under a name that is not in use
 *
 * Return: 0; -EEXIST; -EPERM the name cannot become an image: see the log; -EACCES no passphrase
 * for it; -EROFS; else the error of the file system of SOURCE.
 */
int tree_create(struct tree *t, struct node *dir, const char *name, const struct tree_maker *by,
		struct node **out);

#endif
