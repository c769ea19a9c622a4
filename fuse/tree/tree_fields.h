/* SPDX-License-Identifier: MIT */
/*
 * tree_fields.h - the tree, its nodes and its names as data; for tree/ and views/ only.
 *
 * Locks, in ascending order.  No thread takes two of a kind, but for a rename, which takes two
 * node_dir.lock, the one at the lower address first.  Locks of views/ come before all of these.
 *
 *   node_dir.lock           a scan, or reading the entries of a virtual directory; held over I/O
 *   node_image.overlay_lock opening an image through its overlay; held over I/O
 *   base_index.lock         building and asking the index of backing files; held over I/O
 *   tree.lock               names, tables of nodes, last references; never held over I/O
 *   node.attr_lock          the fields that say so
 */
#ifndef TREE_FIELDS_H
#define TREE_FIELDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "qcow.h"
#include "tree/byte_range.h"
#include "tree/identity.h"
#include "tree/no_images.h"
#include "tree/source.h"
#include "tree/tree_config.h"

struct base_index;
struct cow_overlay;
struct node_ops;
struct node_table;
struct view_provider;

enum { TREE_PROVIDERS = 24 }; /* kinds of virtual files, at most */

/* A directory, of SOURCE or virtual. */
struct node_dir {
	pthread_mutex_t lock;
	struct name *name; /* of a directory of SOURCE; NULL: the root, or virtual */
	dev_t dev; /* of a directory of SOURCE */
	ino_t ino;
	void *by_shown, *by_file; /* tree.lock; tsearch(3) trees of the names */
	unsigned int scan; /* lock; number of the last scan, from 1 on */
	struct identity scanned; /* lock; the directory before the last complete scan */
	bool scanned_reliable;	 /* lock; a later change would show in its times */
	struct no_images no_images; /* lock */
};

/* Files that an image needs, as paths below SOURCE, or absolute; NULL: none. */
struct image_paths {
	char *backing, *data_file;
};

/* An image file of SOURCE. */
struct node_image {
	struct identity id;	 /* dev and ino never change */
	struct name *names;	 /* tree.lock; real names before symbolic links */
	struct node *table_next; /* tree.lock */
	struct image_paths paths; /* tree.lock; see backing_path.h */
	unsigned int opening; /* attr_lock; threads that are opening it */
	bool removing;	      /* attr_lock; it cannot be opened: its last name may go */
	pthread_mutex_t overlay_lock;
	struct cow_overlay *_Atomic overlay; /* made under overlay_lock, and stays */
	atomic_bool written; /* since image_file_write_version() was last called */
	atomic_uint opened;  /* times that it was opened; wraps around */
	/* attr_lock */
	unsigned int write_version;
	bool probed; /* the fields below are true for the file probed_at */
	struct identity probed_at;
	int error; /* 0: the image is usable */
	uint64_t size;
	uint32_t cluster_size;
	char *last_error; /* logged; NULL: none since it was last opened */
	bool no_key;	  /* last_error says that no key fits */
};

struct node {
	const struct node_ops *ops;
	uint64_t ino;
	bool is_dir;
	bool shares_writes; /* another file can be written and shows the same bytes */
	bool follows_writes; /* cannot be written, and shows bytes of a file that can */
	atomic_bool detached; /* its name leads to another node, or is gone */
	struct byte_range range; /* of the image that ops->open gives */
	_Atomic uint64_t nlookup; /* references, of the kernel and ours */
	/* Held while the last reference is dropped.  tree.lock; or node_dir.lock of the virtual
	 * directory, whose array of entries also leads to the node. */
	pthread_mutex_t *last_ref_lock;
	struct node *ino_next;	  /* tree.lock; in the table of inode numbers */
	struct node *parent; /* the directory of a directory; the root is its own */
	struct node *origin; /* the image or directory of SOURCE that this belongs to, or itself */
	struct node *held;   /* referenced by this node; NULL */
	struct name *view_name; /* tree.lock; of a virtual file beside an image; NULL: detached */
	uint64_t key;	     /* of an entry of a virtual directory (entry_dir.h) */
	void *data;	     /* of the kind of virtual file */

	pthread_mutex_t attr_lock;
	struct stat last_attr; /* attr_lock; last reported to the kernel */
	unsigned int opens;    /* attr_lock */
	bool has_fingerprint;  /* attr_lock */
	struct qc_fingerprint fingerprint; /* attr_lock; at the last open */
	atomic_uint content_version;
	atomic_bool growing;	     /* changed under attr_lock; see growing_disk.h */
	_Atomic uint64_t grown_size; /* of a disk that is growing, in bytes */

	union {
		struct node_dir dir;	 /* is_dir */
		struct node_image image; /* origin is the node itself, and no directory */
	};
};

/*
 * A name of SOURCE, or of a virtual file.  All fields are under tree.lock; `dir`,
 * `shown`, `is_dir`, `owner` and `provider` never change.
 */
struct name {
	struct node *dir; /* NULL: the root is the image */
	char *file;	  /* in SOURCE; NULL: a virtual file */
	char *shown;	  /* in the mount */
	bool is_dir;	  /* a directory of SOURCE */
	bool is_link;	  /* a symbolic link */
	bool gone;
	struct node *node; /* NULL: gone, or a virtual file without a reference */

	/* Of a file of SOURCE. */
	unsigned int scan;	 /* number of the last scan that saw it */
	struct identity checked; /* the file when its magic was last read */

	/* Of an image. */
	struct name *next; /* among the names of the image */
	struct name *views; /* of its virtual files */
	void *state[TREE_PROVIDERS]; /* what it leads to has locks of the provider */

	/* Of a virtual file. */
	struct name *owner; /* the name of its image */
	const struct view_provider *provider;
	struct name *next_view;
	void *data; /* of the provider; allocated, freed with the name */
};

struct tree {
	struct qc_context *ctx;
	const struct source *src;
	struct tree_config config;
	pthread_mutex_t lock; /* names, tables, last references */
	struct node_table *nodes; /* lock */
	struct base_index *bases;
	/* lock; another number whenever a name leads to another file, or an image has another
	 * backing file */
	uint64_t names_version;
	const struct node_ops *dir_ops, *image_ops; /* of nodes of SOURCE */
	struct node *root;
	struct name *only; /* of the image, where SOURCE is one */
	const struct view_provider *provider[TREE_PROVIDERS]; /* constant while served */
	size_t nproviders;
	uint64_t seed; /* random, for hashes that are not shown */
};

/* Whether the mount makes, renames and removes files of SOURCE. */
static inline bool tree_makes_files(const struct tree *t)
{
	return t->config.create && !t->config.ro;
}

#endif
