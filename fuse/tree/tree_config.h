/* SPDX-License-Identifier: MIT */
/* tree_config.h - options of the mount that the tree needs. */
#ifndef TREE_CONFIG_H
#define TREE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "qcow.h"

struct cow;

/* Options that change names, attributes, or the way images are opened. */
struct tree_config {
	bool set_uid, set_gid;
	uid_t uid;
	gid_t gid;
	mode_t mask;	 /* removed from all modes */
	bool ro;	 /* write bits are removed, and no image is opened for writing */
	bool write_base; /* the backing file of another image may be written */
	const struct qc_create_options *create; /* of new images; NULL: none are made */
	qc_key_fn *key;		/* passphrases of new images; NULL: there are none */
	void *key_arg;
	enum qc_locking locking;
	enum qc_refs refs;
	const char *mountpoint; /* absolute path */
	struct cow *cow; /* writes go to overlays; else NULL */
	bool changing;	 /* images may change while they are read (locking=share) */
	const struct qc_path_map *path_maps;
	size_t npath_maps;
};

#endif
