/* SPDX-License-Identifier: MIT */
/*
 * serve.c - the life of the daemon: background, SOURCE, mount, ready, loop, unmount.
 *
 * Called by main() with a parsed command line.  Invariants:
 * - Threads and locks are made after the fork, since a child has only the calling thread.
 * - A failure before the daemon is ready is one line on stderr, and the exit status tells its
 *   kind.  Ready is when the first worker thread has the first request of the kernel: any
 *   earlier, the worker could still fail to start, and leave a dead mount behind a status of 0.
 * - The sandbox is entered after everything that needs more rights, and before there are
 *   threads, which inherit it.
 */
#include "daemon/serve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/mount_options.h"
#include "daemon/daemon.h"
#include "daemon/libfuse_log.h"
#include "daemon/mount.h"
#include "daemon/sandbox_paths.h"
#include "daemon/signal_handlers.h"
#include "ops/init_reply.h"
#include "ops/op_table.h"
#include "ops/open_file.h"
#include "util/preload.h"
#include "util/report.h"

/* ---- the mount ------------------------------------------------------------------ */

static int add_mount_options(struct options *o, const struct source *src)
{
	char max_read[32];
	int r = 0;

	if (!o->set_fsname) {
		char *full = realpath(o->source, NULL);

		r = mount_option_append(o, "fsname", full ? full : src->dir);
		free(full);
	}
	if (!r && !o->set_subtype)
		r = mount_option_append(o, "subtype", "qcowfs");
	if (!r && o->ro)
		r = mount_option_append(o, "ro", NULL);
	if (!r && (o->allow_other || o->default_permissions))
		r = mount_option_append(o, "default_permissions", NULL);
	snprintf(max_read, sizeof(max_read), "%d", MAX_IO);
	return r ? r : mount_option_append(o, "max_read", max_read);
}

static int make_session(struct daemon *d)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = add_mount_options(&d->o, &d->source);

	if (!r && (fuse_opt_add_arg(&args, "qcowfs") || fuse_opt_add_arg(&args, "-o") ||
		   fuse_opt_add_arg(&args, d->o.mount_options)))
		r = -ENOMEM;
	if (!r)
		d->session = fuse_session_new(&args, &op_table, sizeof(op_table), &d->server);
	fuse_opt_free_args(&args);
	d->server.session = d->session;
	return r ? r : d->session ? 0 : -EINVAL;
}

/* Lets other parts of the daemon use the descriptor of the session, too. */
static enum exitcode attach_to_session(struct daemon *d)
{
	int r = init_reply_attach(d->session);

	if (d->o.ro)
		page_helper_end(&d->page_helper);
	if (!r && d->page_helper.pid) {
		r = page_helper_attach(&d->page_helper, fuse_session_fd(d->session), !d->o.no_sandbox);
		d->server.pages.socket = d->page_helper.socket;
	}
	if (r)
		report(QC_LOG_ERROR, "mountpoint %s: cannot prepare the session: %s", d->o.mountpoint,
		       strerror(-r));
	return r ? EXIT_MOUNT : EXIT_OK;
}

static enum exitcode mount_source(struct daemon *d)
{
	int r;

	d->server.direct_io = d->o.direct_io;
	d->server.compress = d->o.compress;
	d->server.ro = d->o.ro;
	d->server.shares_writes = !d->o.ro && d->o.partitions;
	libfuse_log_collect();
	r = make_session(d);
	if (r) {
		char why[200];

		libfuse_log_last(why, sizeof(why));
		report(QC_LOG_ERROR, "mountpoint %s: cannot make a session: %s", d->o.mountpoint,
		       *why ? why : strerror(-r));
		return EXIT_MOUNT;
	}
	if (!signal_handlers_install(d->session))
		return EXIT_MOUNT;
	d->mounted = mount_session(d->session, d->mountpoint.path, &d->o);
	if (!d->mounted)
		return EXIT_MOUNT;
	mountpoint_note_mounted(&d->mountpoint);
	if (!d->mountpoint.is_fuse_fd)
		readahead_find(&d->server.ahead, d->mountpoint.path);
	return attach_to_session(d);
}

/* ---- serving -------------------------------------------------------------------- */

/* Does everything that would fail after the mount for want of descriptors, memory or threads.  A
 * worker and the signal thread are needed, and a process that unmounts; libfuse has one more
 * for auto_unmount.  A thread here and one in another process drop pages. */
static enum exitcode preload(struct daemon *d)
{
	int r = preload_libc_files(3 + d->o.auto_unmount + (d->page_helper.pid ? 2 : 0));

	if (r == -ELIBACC)
		report(QC_LOG_ERROR, "%s: cannot load libgcc_s.so.1, which ends threads: descriptors or "
		       "memory are used up (ulimit -n, ulimit -v), or it is not installed", d->o.source);
	else if (r)
		report(QC_LOG_ERROR, "%s: cannot create a thread: %s (ulimit -u, ulimit -v, or pids.max of the cgroup)",
		       d->o.source, strerror(-r));
	return r ? EXIT_RUNNING : EXIT_OK;
}

/* Chooses the number of workers and the limit for one image.  There are enough for several
 * images that are slow at the same time: deriving a key from a passphrase takes seconds.
 * libfuse creates them when they are needed. */
static void choose_threads(struct daemon *d)
{
	enum { SLOW_IMAGES = 8 };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int limit = cpus < 2 ? 4 : cpus > 8 ? 16 : (unsigned int)cpus * 2;
	unsigned int threads = d->o.single_thread ? 1 : d->o.threads;

	d->threads_max = threads ? threads : SLOW_IMAGES * limit + 2;
	if (threads)
		limit = request_limit_for_threads(threads);
	d->threads_idle = d->o.threads ? threads : limit + 1;
	request_limit_init(&d->server.limit, limit);
}

static int run_session_loop(struct daemon *d)
{
	struct fuse_loop_config *config;
	int r;

	if (d->o.single_thread)
		return fuse_session_loop(d->session);
	config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, d->threads_max);
	fuse_loop_cfg_set_idle_threads(config, d->threads_idle);
	r = fuse_session_loop_mt(d->session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

/*
 * Runs the loop again if it ends for want of memory or threads: libfuse ends the session if a
 * new worker cannot allocate its buffer.  The old workers have freed theirs by then.  A request
 * that one of them had just read is dropped, and fails when the worker's own descriptor of
 * /dev/fuse is closed.  Where they share one it would hang, so the session has to end.
 */
static int serve_until_unmounted(struct daemon *d)
{
	const struct timespec pause = { .tv_nsec = 100 * 1000 * 1000 };

	for (;;) {
		int r = run_session_loop(d);

		/* -1 is what libfuse returns if it cannot create a thread. */
		if ((r != -ENOMEM && r != -1) || !d->ready || libfuse_log_shares_fd() ||
		    fuse_session_exited(d->session))
			return r;
		report(QC_LOG_WARN, "%s: too little memory or too few threads: trying again", d->o.source);
		nanosleep(&pause, NULL);
	}
}

/* Closes the image that the start has opened, and tells the parent and the service manager that
 * the mount stands.  Called by the first worker with the first request of the kernel. */
static void announce_ready(void *arg)
{
	struct daemon *d = arg;

	if (d->only)
		qc_close(d->only);
	d->only = NULL;
	libfuse_log_pass_on();
	if (!d->o.foreground)
		report_to_syslog();
	d->ready = true;
	readiness_notify(&d->readiness);
	if (!background_ready(&d->background))
		fuse_session_exit(d->session);
}

static bool unmount_unused(void *arg)
{
	struct daemon *d = arg;

	return mountpoint_is_mounted(&d->mountpoint) && unmount_helper_unmount_unused(&d->unmount_helper);
}

static enum exitcode enter_sandbox(struct daemon *d)
{
	int r = 0;

	background_leave_session(&d->background);
	if (!d->o.foreground)
		report_open_syslog();
	if (!d->o.no_sandbox)
		r = sandbox_enter(&d->sandbox);
	sandbox_free(&d->sandbox);
	return r ? EXIT_RUNNING : EXIT_OK;
}

/* Reports why the session has ended with the result @r of its loop. */
static enum exitcode report_end(struct daemon *d, int r)
{
	char why[200];

	if (r >= 0 && (d->ready || d->o.foreground))
		return EXIT_OK; /* unmounted, or a signal */
	libfuse_log_last(why, sizeof(why));
	if (r > 0)
		snprintf(why, sizeof(why), "signal %d", r);
	report(QC_LOG_ERROR, "%s: cannot serve: %s", d->o.source,
	       *why ? why : r ? strerror(-r) : "it was unmounted before it was ready");
	return EXIT_RUNNING;
}

static enum exitcode serve_requests(struct daemon *d)
{
	enum exitcode e = enter_sandbox(d);
	int r;

	if (e)
		return e;
	choose_threads(d);
	cluster_writer_begin(&d->server.cluster_writer);
	d->server.ready = announce_ready;
	d->server.ready_arg = d;
	d->server.io_uring = d->o.io_uring; /* after the sandbox, which its threads inherit */
	d->signal_thread = (struct signal_thread){
		.ctx = d->ctx,
		.server = &d->server,
		.timeout = d->o.timeout,
		.unmount_unused = unmount_unused,
		.arg = d,
	};
	r = shared_pages_begin(&d->server.pages);
	if (!r)
		r = signal_thread_start(&d->signal_thread);
	if (r) {
		report(QC_LOG_ERROR, "%s: cannot create a thread: %s (ulimit -u, ulimit -v, or pids.max of the cgroup)",
		       d->o.source, strerror(-r));
		e = EXIT_RUNNING;
	} else {
		e = report_end(d, serve_until_unmounted(d));
	}
	open_files_close_all(&d->server); /* first, since other programs wait for the locks */
	shared_pages_end(&d->server.pages);
	signal_thread_stop(&d->signal_thread);
	request_limit_destroy(&d->server.limit);
	cluster_writer_end(&d->server.cluster_writer);
	return e;
}

/* ---- start and end -------------------------------------------------------------- */

static enum exitcode go_to_background(struct daemon *d)
{
	int r = background_start(&d->background);

	if (!r)
		return EXIT_OK;
	report(QC_LOG_ERROR, "background: %s (-f stays in the foreground)", strerror(-r));
	return EXIT_RUNNING;
}

/* Returns true if two files of the mount can show the same bytes, and one can be written. */
static bool shares_bytes(const struct options *o)
{
	return !o->ro && (o->partitions || o->chain || o->bitmaps);
}

/* Forks the helpers while this process has opened nothing that they would inherit. */
static enum exitcode start_helpers(struct daemon *d, char **argv)
{
	bool unmounts = !d->mountpoint.is_fuse_fd;
	int r = 0;

	if (!d->o.no_sandbox || d->o.auto_unmount || d->o.timeout)
		r = unmount_helper_start(&d->unmount_helper, d->mountpoint.path,
					 d->o.auto_unmount && unmounts, &d->pidfile, argv);
	if (r)
		report(QC_LOG_ERROR, "%s: cannot start the process that unmounts: %s", d->o.source,
		       strerror(-r));
	if (r || !shares_bytes(&d->o))
		return r ? EXIT_RUNNING : EXIT_OK;
	r = page_helper_start(&d->page_helper, argv);
	if (r)
		report(QC_LOG_ERROR, "%s: cannot start the process that drops pages: %s", d->o.source,
		       strerror(-r));
	return r ? EXIT_RUNNING : EXIT_OK;
}

static enum exitcode collect_sandbox_paths(struct daemon *d)
{
	int r = d->o.no_sandbox ? 0 : sandbox_paths_collect(&d->sandbox, &d->o, &d->source, d->cow.dirfd,
						    d->cow.unlinks);

	if (r)
		report(QC_LOG_ERROR, "%s: sandbox: %s (sandbox=off does without)", d->o.source,
		       strerror(-r));
	return r ? EXIT_RUNNING : EXIT_OK;
}

static enum exitcode start_and_serve(struct daemon *d, char **argv)
{
	enum exitcode e = startup_check_paths(d);

	if (!e && d->o.ready_fd >= 0 && !readiness_fd_is_good(d->o.ready_fd))
		e = EXIT_USAGE;
	if (!e && !d->o.foreground)
		e = go_to_background(d);
	if (e)
		return e;
	if (d->o.pid_file && pidfile_write(&d->pidfile, d->o.pid_file))
		return EXIT_USAGE;
	e = start_helpers(d, argv);
	if (e)
		return e;
	readiness_open(&d->readiness, d->o.ready_fd);
	startup_set_limits();
	e = startup_open_source(d);
	if (!e)
		e = collect_sandbox_paths(d);
	if (!e)
		e = preload(d);
	if (!e)
		e = mount_source(d);
	if (!e)
		e = serve_requests(d);
	return e;
}

/* Unmounts.  A service manager may send signals as soon as the mount is gone, but images are
 * still being written. */
static void unmount_source(struct daemon *d)
{
	readiness_end(&d->readiness);
	if (d->unmount_helper.pid && !d->mountpoint.is_fuse_fd)
		unmount_helper_unmount(&d->unmount_helper, d->session);
	else
		fuse_session_unmount(d->session);
}

static void free_daemon(struct daemon *d)
{
	if (d->session)
		signal_handlers_ignore_all(); /* those of libfuse use the session */
	if (d->mounted)
		unmount_source(d);
	if (d->session)
		fuse_session_destroy(d->session);
	page_helper_end(&d->page_helper);
	if (d->only)
		qc_close(d->only);
	open_files_close_all(&d->server);
	if (d->server.tree)
		tree_free(d->server.tree);
	readahead_end(&d->server.ahead);
	if (d->ctx)
		qc_context_free(d->ctx);
	key_source_close(&d->keys);
	unread_maps_close(&d->unread);
	cow_overlay_end(&d->cow);
	sandbox_free(&d->sandbox);
	source_close(&d->source);
	unmount_helper_end(&d->unmount_helper, &d->pidfile);
	pidfile_remove(&d->pidfile);
	mountpoint_free(&d->mountpoint);
	pthread_cond_destroy(&d->server.close_ended);
}

/* Makes the clock of timed waits one that setting the time does not change. */
static void init_condition(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

enum exitcode serve_source(struct options *o, char **argv)
{
	struct daemon d = {
		.o = *o,
		.background = BACKGROUND_NONE,
		.readiness = READINESS_NONE,
		.pidfile = PIDFILE_NONE,
		.source = { .dirfd = -1, .pinned = -1 },
		.keys = KEY_SOURCE_NONE,
		.unread = UNREAD_MAPS_NONE,
		.cow = { .dirfd = -1 },
		.page_helper = PAGE_HELPER_NONE,
		.server = {
			.ahead = { .fd = -1 },
			.open_files_lock = PTHREAD_MUTEX_INITIALIZER,
			.pages = { .socket = -1, .lock = PTHREAD_MUTEX_INITIALIZER },
		},
	};
	enum exitcode e;

	init_condition(&d.server.close_ended);
	e = start_and_serve(&d, argv);
	free_daemon(&d);
	*o = d.o;
	return e;
}
