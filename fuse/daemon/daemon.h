/* SPDX-License-Identifier: MIT */
/*
 * daemon.h - all that the program has; prepare.c: what comes before the mount.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include "daemon/background.h"
#include "tree/cow_overlay.h"
#include "util/exit_status.h"
#include "keys/key_source.h"
#include "ops/server.h"
#include "cli/options.h"
#include "daemon/pidfile.h"
#include "daemon/readiness.h"
#include "sandbox/sandbox.h"
#include "tree/source.h"
#include "daemon/unmount_helper.h"
#include "daemon/signal_thread.h"

struct daemon {
	struct options o;
	struct background background;
	struct ready ready;
	struct pidfile pidfile;
	struct qc_context *ctx;
	struct source source;
	struct key_source keys;
	struct cow cow;
	bool in_folder; /* the mountpoint is one */
	char *mountpoint;
	struct server server;
	struct qc_image *first; /* open until the mount stands */
	struct fuse_session *session;
	struct unmount_helper unmounter;
	struct sandbox sandbox;
	unsigned int threads, share, idle; /* most; most for one image; most that wait */
	bool mounted, signals;
	struct signal_thread watch;
};

/* Each says what is wrong.  Source and mountpoint exist, and fit each other. */
enum exitcode startup_check_paths(struct daemon *d);

/* More descriptors, and a heap that gives memory back. */
void startup_set_limits(void);

/* The context, the tree, and the only image, which is open then; a mount that can be
 * for reading only is so. */
enum exitcode startup_open_source(struct daemon *d);

#endif
