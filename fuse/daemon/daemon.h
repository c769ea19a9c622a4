/* SPDX-License-Identifier: MIT */
/* daemon.h - the state of a daemon that mounts, and its start before the mount. */
#ifndef DAEMON_H
#define DAEMON_H

#include "cli/options.h"
#include "daemon/background.h"
#include "daemon/mountpoint.h"
#include "daemon/page_helper.h"
#include "daemon/pidfile.h"
#include "daemon/readiness.h"
#include "daemon/signal_thread.h"
#include "daemon/unread_maps.h"
#include "daemon/unmount_helper.h"
#include "keys/key_source.h"
#include "ops/server.h"
#include "sandbox/sandbox.h"
#include "tree/cow_overlay.h"
#include "tree/source.h"
#include "util/exit_status.h"

struct daemon {
	struct options o;
	struct background background;
	struct readiness readiness;
	struct pidfile pidfile;
	struct qc_context *ctx;
	struct source source;
	struct key_source keys;
	struct unread_maps unread;
	struct cow cow;
	struct mountpoint mountpoint;
	struct server server;
	struct qc_image *only; /* the one image of SOURCE, open until the mount is ready; NULL */
	struct fuse_session *session;
	struct unmount_helper unmount_helper;
	struct page_helper page_helper;
	struct sandbox sandbox;
	unsigned int threads_max, threads_idle; /* workers; of these, how many may wait for work */
	bool mounted;
	atomic_bool ready; /* the kernel has been answered, and the parent told */
	struct signal_thread signal_thread;
};

/* Checks that SOURCE and MOUNTPOINT exist and fit each other.  Reports what is wrong. */
enum exitcode startup_check_paths(struct daemon *d);

/* Raises the limit of descriptors, and makes the heap return memory to the system. */
void startup_set_limits(void);

/* Opens SOURCE: context, keys, tree and, where SOURCE is one image, that image.  Makes the mount
 * read-only if it cannot be written.  Reports what is wrong. */
enum exitcode startup_open_source(struct daemon *d);

#endif
