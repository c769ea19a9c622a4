/* SPDX-License-Identifier: MIT */
/*
 * tree.h - the names in the mount, and what each stands for in SOURCE.
 *
 * Folders mirror those of SOURCE; files are images, and beside each may be views of
 * it.  A folder is read when
 * somebody looks into it, and an image is opened when somebody opens it.  A
 * node keeps its name and its inode number for the life of the mount; a file
 * that takes the place of another one gets a node of its own.
 */
#ifndef TREE_H
#define TREE_H

#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "tree/source.h"

struct cow;
struct tree;
struct node;

/* What is shown other than as it is. */
struct tree_config {
	bool set_uid, set_gid;
	uid_t uid;
	gid_t gid;
	mode_t mask; /* taken off all modes */
	bool ro;     /* and the bits for writing */
	bool snapshots, chain, info, partitions; /* the views of each image that are shown */
	struct cow *cow; /* what is written goes to overlays; else NULL */
	bool changing; /* images may change while they are read (locking=share) */
};

/* Whether the mountpoint is a folder: then an image is a file in it, else the
 * root of the mount is the image.  -ENOMEM. */
int tree_new(struct qc_context *ctx, const struct source *src, const struct tree_config *look,
	     bool in_folder, struct tree **out);
void tree_free(struct tree *t);
void tree_set_readonly(struct tree *t); /* before it is used */

struct node *tree_root(struct tree *t);
struct node *tree_only(struct tree *t); /* the image, where SOURCE is one */
bool node_is_folder(const struct node *n);

/* All that return an int return 0 or -errno. */

/* The node of that name in a folder, with one reference. */
int tree_lookup(struct tree *t, struct node *folder, const char *name, struct node **out);
/* Without looking for new partitions. */
int tree_lookup_plain(struct tree *t, struct node *folder, const char *name,
		      struct node **out);
void tree_forget(struct tree *t, struct node *n, uint64_t references);

/* What in SOURCE the node stands for: an image for its views, too.  And what a name does,
 * as the folder was when it was last looked into, only to be compared; or the folder. */
const struct node *tree_origin(const struct node *n);
const struct node *tree_origin_of_name(struct node *folder, const char *name);

/* All that is in a folder now, each with one reference. */
struct listing {
	struct node **node;
	char **name; /* NULL: node_name() */
	size_t n;
};
int tree_list(struct tree *t, struct node *folder, struct listing *out);
void tree_list_free(struct tree *t, struct listing *l);
const char *node_name(const struct node *n);
struct node *node_parent(const struct node *n); /* the root is its own */
void node_ref(struct node *n); /* one more reference */
uint64_t node_ino(const struct node *n);

int tree_stat(struct tree *t, struct node *n, struct stat *st);
int tree_statfs(struct tree *t, struct statvfs *st); /* of what holds the images */

/* Opens the image.  -ESTALE if another file has taken its place: look it up
 * again.  *keep says whether what the kernel cached of it is still true. */
int tree_open(struct tree *t, struct node *n, bool write, struct qc_image **out, bool *keep);

void node_close(struct node *n, struct qc_image *img);

/* A file that is not an image, but text that is made when it is opened; to be given
 * back with shared_buf_put(). */
struct shared_buf;
bool node_is_text(const struct node *n);
int tree_open_text(struct tree *t, struct node *n, struct shared_buf **out);

/* The part of an image that the file is: of a partition its place on the disk, else from 0
 * on as long as the disk is. */
struct byte_range {
	uint64_t start, len;
};
struct byte_range node_window(const struct node *n);

/* What is to know when the file's disk is written; NULL: nothing. */
atomic_bool *node_written_mark(const struct node *n);

/* Whether it changes when another file of the mount is written, or that one when this
 * is: the kernel must not cache it. */
bool node_follows_writes(const struct node *n);

/* An internal snapshot is taken, deleted, renamed, as a folder of NAME.snapshots.  -EROFS
 * in other folders; -EINVAL a name that none can have. */
bool node_has_snapshots(const struct node *n);
int snapshot_dir_create(struct tree *t, struct node *folder, const char *name, struct node **out);
int snapshot_dir_remove(struct tree *t, struct node *folder, const char *name);
int snapshot_dir_rename(struct tree *t, struct node *folder, const char *name, const char *to);

/* Changes when an open finds other content than the one before.  Who opened it
 * earlier must stop then: the kernel caches the bytes for both. */
unsigned int node_content_version(const struct node *n);

/* Opens it without a word, for the caller to say the reason; to be closed with
 * qc_close(). */
int tree_open_first(struct tree *t, struct node *n, struct qc_image **out,
		    struct qc_reason *why);

#endif
