/* SPDX-License-Identifier: MIT */
/*
 * serve.c - the life of the daemon: background, SOURCE, mount, ready, loop, unmount.
 *
 * Called by main() with a parsed command line.  Invariant: threads and locks are made after
 * the fork, since a child has only one thread of its parent's.  A failure before the daemon is
 * ready is one line on stderr, and the status of the command tells its kind.  The sandbox is
 * entered after everything that needs more rights, and before there are threads, which
 * inherit it.
 */
#include "daemon/serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/mount_options.h"
#include "daemon/daemon.h"
#include "daemon/mount.h"
#include "daemon/sandbox_paths.h"
#include "ops/op_table.h"
#include "ops/open_file.h"
#include "util/report.h"

static int mount_options(struct options *o, const struct source *src)
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

static enum exitcode mount_it(struct daemon *d)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = mount_options(&d->o, &d->source);

	d->server.direct_io = d->o.direct_io;
	d->server.ro = d->o.ro;
	d->server.shares_disks = !d->o.ro && (d->o.partitions || d->o.chain);
	mount_take_log();
	if (!r && (fuse_opt_add_arg(&args, "qcowfs") || fuse_opt_add_arg(&args, "-o") ||
		   fuse_opt_add_arg(&args, d->o.mount_options)))
		r = -ENOMEM;
	if (!r)
		d->session = fuse_session_new(&args, &op_table, sizeof(op_table), &d->server);
	fuse_opt_free_args(&args);
	d->server.session = d->session;
	if (d->session) {
		d->signals = !fuse_set_signal_handlers(d->session);
		if (!d->signals)
			report(QC_LOG_ERROR, "signals: no handlers can be set");
		d->mounted = d->signals && mount_session(d->session, d->mountpoint, &d->o);
	}
	if (d->mounted)
		readahead_find(&d->server.ahead, d->mountpoint);
	return d->mounted ? EXIT_OK : EXIT_MOUNT; /* it has said why */
}

/* As many as are good for one image are its share, and there are enough for several that
 * are slow at once: to make a key of a passphrase takes seconds.  Those who are not needed
 * are not made. */
static void choose_threads(struct daemon *d)
{
	enum { IMAGES = 8 };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int share = cpus < 2 ? 4 : cpus > 8 ? 16 : (unsigned int)cpus * 2;
	unsigned int threads = d->o.single_thread ? 1 : d->o.threads;

	d->threads = threads ? threads : IMAGES * share + 2;
	d->share = threads ? request_limit_for_threads(threads) : share;
	d->idle = d->o.threads ? threads : share + 1;
}

static int loop(struct daemon *d)
{
	struct fuse_loop_config *config;
	int r;

	if (d->o.single_thread)
		return fuse_session_loop(d->session);
	config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, d->threads);
	fuse_loop_cfg_set_idle_threads(config, d->idle);
	r = fuse_session_loop_mt(d->session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

/* While no path leads into our own mount. */
static enum exitcode find_places(struct daemon *d)
{
	int r = d->o.no_sandbox ? 0 : sandbox_paths_collect(&d->sandbox, &d->o, &d->source, d->cow.dirfd);

	if (r)
		report(QC_LOG_ERROR, "%s: sandbox (sandbox=off does without): %s", d->o.source,
		       strerror(-r));
	return r ? EXIT_RUNNING : EXIT_OK;
}

/* Also leaves the terminal, which takes more than the sandbox allows. */
static int enter_sandbox(struct daemon *d)
{
	int r = 0;

	background_leave(&d->background);
	if (!d->o.foreground)
		report_to_syslog();
	if (!d->o.no_sandbox)
		r = sandbox_enter(&d->sandbox);
	sandbox_free(&d->sandbox);
	return r;
}

static enum exitcode serve_requests(struct daemon *d)
{
	int r;

	choose_threads(d);
	r = enter_sandbox(d);
	if (r) {
		report(QC_LOG_ERROR, "%s: no sandbox (sandbox=off does without): %s", d->o.source,
		       strerror(-r));
		return EXIT_RUNNING;
	}
	readiness_notify(&d->ready);
	background_ready(&d->background);
	if (d->first)
		qc_close(d->first); /* from now on it is open when somebody opens it */
	d->first = NULL;
	request_limit_init(&d->server.limit, d->share);
	d->watch = (struct signal_thread){ .ctx = d->ctx, .server = &d->server, .timeout = d->o.timeout };
	d->server.io_uring = d->o.io_uring; /* their threads are to be in the sandbox, too */
	r = signal_thread_start(&d->watch);
	if (!r)
		r = loop(d);
	open_files_close_all(&d->server); /* first of all: others wait for the locks */
	signal_thread_stop(&d->watch);
	request_limit_destroy(&d->server.limit);
	if (r >= 0)
		return EXIT_OK; /* unmounted, or a signal */
	report(QC_LOG_ERROR, "%s: %s", d->o.source, strerror(-r));
	return EXIT_RUNNING;
}

static enum exitcode into_background(struct daemon *d)
{
	int r = background_start(&d->background);

	if (!r)
		return EXIT_OK;
	report(QC_LOG_ERROR, "background: %s (-f stays in the foreground)", strerror(-r));
	return EXIT_RUNNING;
}

/* While there is nothing yet that it would have, too. */
static enum exitcode start_unmounter(struct daemon *d, char **argv)
{
	int r = 0;

	if (!d->o.no_sandbox || d->o.auto_unmount)
		r = unmount_helper_start(&d->unmounter, d->mountpoint, d->o.auto_unmount, &d->pidfile,
				    argv);
	if (r)
		report(QC_LOG_ERROR, "%s: no second process: %s", d->o.source, strerror(-r));
	return r ? EXIT_RUNNING : EXIT_OK;
}

static enum exitcode start_and_serve(struct daemon *d, char **argv)
{
	enum exitcode e = startup_check_paths(d);

	if (!e && d->o.ready_fd >= 0 && !readiness_fd_is_good(d->o.ready_fd))
		e = EXIT_USAGE;
	if (!e && !d->o.foreground)
		e = into_background(d);
	if (e)
		return e;
	if (d->o.pid_file && pidfile_write(&d->pidfile, d->o.pid_file))
		return EXIT_USAGE;
	e = start_unmounter(d, argv);
	if (e)
		return e;
	readiness_open(&d->ready, d->o.ready_fd);
	startup_set_limits();
	e = startup_open_source(d);
	if (!e)
		e = find_places(d);
	if (!e)
		e = mount_it(d);
	if (!e)
		e = serve_requests(d);
	return e;
}

/* All has still to come to the images; a service manager sends a signal as soon as
 * the mount is gone. */
static void leave_undisturbed(void)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static void unmount(struct daemon *d)
{
	leave_undisturbed();
	readiness_stopping(&d->ready);
	if (d->unmounter.pid)
		unmount_helper_unmount(&d->unmounter, d->session);
	else
		fuse_session_unmount(d->session);
}

static void tidy_up(struct daemon *d)
{
	if (d->mounted)
		unmount(d);
	if (d->signals)
		fuse_remove_signal_handlers(d->session);
	if (d->session)
		fuse_session_destroy(d->session);
	if (d->first)
		qc_close(d->first);
	open_files_close_all(&d->server);
	if (d->server.tree)
		tree_free(d->server.tree);
	readahead_end(&d->server.ahead);
	if (d->ctx)
		qc_context_free(d->ctx);
	key_source_close(&d->keys);
	cow_overlay_end(&d->cow);
	sandbox_free(&d->sandbox);
	source_close(&d->source);
	unmount_helper_end(&d->unmounter, &d->pidfile);
	pidfile_remove(&d->pidfile);
	free(d->mountpoint);
}

enum exitcode serve_source(struct options *o, char **argv)
{
	struct daemon d = {
		.o = *o,
		.background = { .ready = -1 },
		.ready = { .fd = -1, .socket = -1 },
		.pidfile = { .fd = -1, .dirfd = -1 },
		.source = { .dirfd = -1, .pinned = -1 },
		.keys = KEY_SOURCE_NONE,
		.cow = { .dirfd = -1 },
		.server = { .ahead = { .fd = -1 },
			    .open_files_lock = PTHREAD_MUTEX_INITIALIZER,
			    .close_ended = PTHREAD_COND_INITIALIZER },
	};
	enum exitcode e = start_and_serve(&d, argv);

	tidy_up(&d);
	*o = d.o;
	return e;
}
