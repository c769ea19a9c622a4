/* SPDX-License-Identifier: MIT */
/* options.h - the command line of a mount. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <sys/types.h>

#include "util/exit_status.h"
#include "qcow.h"

enum option_action {
	ACTION_MOUNT,
	ACTION_HELP,
	ACTION_VERSION,
};

struct options {
	enum option_action action;
	char *source;	  /* as given */
	char *mountpoint; /* as given */
	bool foreground, debug, single_thread;
	unsigned int verbose;
	bool ro, rw, direct_io;
	bool snapshots, chain, info, partitions;
	bool forensic; /* sets the four above, and ro unless cow is set */
	bool write_base;
	bool cow;
	char *cow_file; /* absolute; NULL: temporary overlays */
	bool allow_other, auto_unmount, default_permissions;
	enum qc_refs refs;
	enum qc_locking locking;
	enum qc_verifying verify;
	struct qc_path_map *path_maps;
	size_t npath_maps;
	bool keep_discarded;
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

/* Fills *@o from the command line; options_free() it in each case.  Return: EXIT_OK; EXIT_USAGE
 * after a message. */
enum exitcode options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/* Options that stand before the first operand. */
struct options_before {
	unsigned int verbose;
	char mounting; /* the first of them that only mounting has; 0: none */
};

/* Returns the index of the first operand; 0: there is none, or an option before it is unknown or
 * prints something and ends the program (-h, -V). */
int options_first_operand(int argc, char **argv, struct options_before *out);

/*
 * options_set() - apply one -o option
 * @value: NULL: without "="
 *
 * Return: 0; -EINVAL, -EBADF, -ENOMEM, -EOPNOTSUPP after a message.
 */
int options_set(struct options *o, const char *name, const char *value);

/* Checks that at most one source of a passphrase is given.  Return: 0; -EINVAL after a message. */
int options_check_keys(const struct options *o);

#endif
