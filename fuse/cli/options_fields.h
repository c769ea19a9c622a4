/* SPDX-License-Identifier: MIT */
/* options_fields.h - what the command line of a mount says. */
#ifndef OPTIONS_FIELDS_H
#define OPTIONS_FIELDS_H

#include <sys/types.h>

#include "cli/create_options.h"
#include "qcow.h"

enum option_action {
	ACTION_MOUNT,
	ACTION_HELP,
	ACTION_VERSION,
	ACTION_NONE, /* check the command line only */
};

struct options {
	enum option_action action;
	char *source;	  /* as given */
	char *mountpoint; /* as given */
	bool foreground, debug, single_thread;
	unsigned int verbose;
	bool ignore_unknown; /* -o options */
	char *mount_namespace; /* path of the namespace to mount in; NULL */
	bool ro, rw, direct_io;
	bool snapshots, chain, info, bitmaps, partitions;
	bool forensic; /* sets snapshots, chain, info, bitmaps and unallocated, and ro unless cow is set */
	bool unallocated; /* ro, unless cow is set */
	bool rescue; /* ro, unless cow is set */
	bool doubtful_is_lost;
	enum qc_lost lost;
	char *plan;		   /* absolute; NULL: none */
	char *damage, *damage_dir; /* absolute */
	bool write_base;
	bool create; /* images and folders are made, renamed and removed through the mount */
	struct create_options create_options; /* of new images */
	bool compress;
	int compress_level; /* 0: the default */
	bool cow;
	char *cow_file; /* absolute; NULL: temporary overlays */
	bool allow_other, auto_unmount, default_permissions;
	enum qc_refs refs;
	enum qc_locking locking;
	enum qc_verifying verify;
	struct qc_path_map *path_maps;
	size_t npath_maps;
	bool keep_discarded;
	bool drop_bitmaps;
	char *data_file;
	char *key_file, *key_dir;
	int key_fd; /* -1: none */
	size_t cache_bytes;
	unsigned int threads;
	bool io_uring;
	unsigned int timeout; /* seconds; 0: never */
	int ready_fd;	      /* -1: none */
	char *pid_file;	      /* absolute */
	bool no_sandbox;
	bool set_uid, set_gid, set_umask;
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool set_fsname, set_subtype;
	bool set_context; /* one of the context options of SELinux */
	char *mount_options; /* for libfuse and the kernel, "a,b=c" */
};

#endif
