/* SPDX-License-Identifier: MIT */
/*
 * main.c - the story: options, background, SOURCE, mount, ready, loop, unmount.
 *
 * Whatever makes threads or takes locks happens after the fork.  A failure
 * before the daemon is ready is one line on stderr, and its status is that of
 * the command.
 */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "background.h"
#include "keys.h"
#include "mounting.h"
#include "ops.h"
#include "options.h"
#include "pidfile.h"
#include "ready.h"
#include "report.h"
#include "watch.h"

#include "version.h"

struct daemon {
	struct options o;
	struct background background;
	struct ready ready;
	struct pidfile pidfile;
	struct qc_context *ctx;
	struct source source;
	struct keys keys;
	bool in_folder; /* the mountpoint is one */
	char *mountpoint;
	struct server server;
	struct qc_image *first; /* open until the mount stands */
	struct fuse_session *session;
	bool mounted, signals;
	struct watch watch;
};

static void print_version(void)
{
	char text[80];

	printf("qcowfs %s\nlibfuse %s\n", QCOWFS_VERSION, fuse_pkgversion());
	for (unsigned int i = 0; qc_library(i, text, sizeof(text)); i++)
		puts(text);
}

static enum exitcode check_operands(struct daemon *d)
{
	const struct options *o = &d->o;
	struct stat src, mnt;

	if (stat(o->source, &src)) {
		report(QC_LOG_ERROR, "%s: %s", o->source, strerror(errno));
		return EXIT_IMAGE;
	}
	d->mountpoint = realpath(o->mountpoint, NULL);
	if (!d->mountpoint || stat(d->mountpoint, &mnt)) {
		report(QC_LOG_ERROR, "mountpoint %s: %s%s", o->mountpoint, strerror(errno),
		       errno == ENOENT ? " (mkdir makes one)" : "");
		return EXIT_MOUNT;
	}
	d->in_folder = S_ISDIR(mnt.st_mode);
	if (!d->in_folder && S_ISDIR(src.st_mode)) {
		report(QC_LOG_ERROR, "mountpoint %s: the folder %s can only be mounted on a folder",
		       o->mountpoint, o->source);
		return EXIT_USAGE;
	}
	if (!d->in_folder && (o->snapshots || o->chain || o->info)) {
		report(QC_LOG_ERROR, "mountpoint %s: a file has no room for %s: give a folder",
		       o->mountpoint, o->forensic  ? "forensic" :
				      o->snapshots ? "snapshots" :
				      o->chain	   ? "chain" :
						     "info");
		return EXIT_USAGE;
	}
	if (!d->in_folder && !S_ISREG(mnt.st_mode)) {
		report(QC_LOG_ERROR, "mountpoint %s: neither a folder nor a regular file",
		       o->mountpoint);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* Every open image takes descriptors, and every layer of its chain. */
static void raise_descriptor_limit(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l)) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* Large buffers go back to the system when they are freed, and threads share their
 * heaps: memory stays in proportion to what is in use. */
static void bound_heap(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_ARENA_MAX, 2);
#endif
}

static enum exitcode open_source(struct daemon *d)
{
	const struct options *o = &d->o;
	struct qc_config config = {
		.log = report_line,
		.log_max = QC_LOG_TRACE,
		.progress = report_progress,
		.refs = o->refs,
		.locking = o->locking,
		.verify = o->verify,
		.remaps = o->remaps,
		.nremaps = o->nremaps,
		.cache_bytes = o->cache_bytes,
		.keep_discarded = o->keep_discarded,
		.data_file = o->data_file,
		.noatime = o->forensic,
		.key_arg = &d->keys,
	};
	struct tree_look look = {
		.set_uid = o->set_uid,
		.set_gid = o->set_gid,
		.uid = o->uid,
		.gid = o->gid,
		.mask = o->umask,
		.ro = o->ro,
		.snapshots = o->snapshots,
		.chain = o->chain,
		.info = o->info,
		.changing = o->locking == QC_LOCKING_SHARE,
	};
	int r = source_open(&d->source, o->source, d->mountpoint, o->refs == QC_REFS_ANY);

	if (!r && keys_open(&d->keys, o, d->source.dir, d->source.only))
		return EXIT_KEY;
	if (keys_there_are(&d->keys))
		config.key = keys_get;
	if (!r)
		r = qc_context_new(&config, &d->ctx);
	if (!r && o->forensic)
		d->source.traceless = d->ctx;
	if (!r)
		r = tree_new(d->ctx, &d->source, &look, d->in_folder, &d->server.tree);
	if (!r)
		return EXIT_OK;
	report(QC_LOG_ERROR, "%s: %s", o->source, strerror(-r));
	return EXIT_IMAGE;
}

static enum exitcode exit_for(enum qc_cause cause)
{
	switch (cause) {
	case QC_CAUSE_LOCKED:
		return EXIT_LOCKED;
	case QC_CAUSE_KEY:
		return EXIT_KEY;
	case QC_CAUSE_READONLY:
	case QC_CAUSE_IMAGE:
		break;
	}
	return EXIT_IMAGE;
}

/* A folder may have file systems of others in it, so there `rw` is taken at its word. */
static void fall_back_to_readonly(struct daemon *d)
{
	struct qc_reason why = { 0 };

	if (d->o.ro || (!d->source.only && d->o.rw))
		return;
	if (source_is_readonly(&d->source))
		snprintf(why.text, sizeof(why.text), "it cannot be written: %s", strerror(errno));
	else if (!d->source.only || !qc_writable(d->first, &why))
		return;
	report(QC_LOG_WARN, "%s: mounted read-only: %s", d->o.source, why.text);
	tree_set_readonly(d->server.tree);
	d->o.ro = true;
}

/* The only image must open, and its first sector must be readable. */
static enum exitcode open_first(struct daemon *d)
{
	struct qc_reason why = { 0 };
	uint8_t sector[512];
	uint64_t size;
	int r;

	if (!d->source.only)
		return EXIT_OK;
	r = tree_open_first(d->server.tree, tree_only(d->server.tree), &d->first, &why);
	keys_end_asking(&d->keys);
	if (r) {
		report(QC_LOG_ERROR, "%s: %s", d->o.source, *why.text ? why.text : strerror(-r));
		return exit_for(why.cause);
	}
	size = qc_size(d->first);
	r = qc_read(d->first, 0, sector, size < sizeof(sector) ? size : sizeof(sector));
	return r ? EXIT_IMAGE : EXIT_OK; /* what is wrong was said where it was found */
}

static int mount_options(struct options *o, const struct source *src)
{
	char max_read[32];
	int r = 0;

	if (!o->set_fsname) {
		char *full = realpath(o->source, NULL);

		r = options_pass_on(o, "fsname", full ? full : src->dir);
		free(full);
	}
	if (!r && !o->set_subtype)
		r = options_pass_on(o, "subtype", "qcowfs");
	if (!r && o->ro)
		r = options_pass_on(o, "ro", NULL);
	if (!r && (o->allow_other || o->default_permissions))
		r = options_pass_on(o, "default_permissions", NULL);
	snprintf(max_read, sizeof(max_read), "%d", MAX_IO);
	return r ? r : options_pass_on(o, "max_read", max_read);
}

static enum exitcode mount_it(struct daemon *d)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int r = mount_options(&d->o, &d->source);

	d->server.direct_io = d->o.direct_io;
	d->server.ro = d->o.ro;
	mounting_take_log();
	if (!r && (fuse_opt_add_arg(&args, "qcowfs") || fuse_opt_add_arg(&args, "-o") ||
		   fuse_opt_add_arg(&args, d->o.mount_options)))
		r = -ENOMEM;
	if (!r)
		d->session = fuse_session_new(&args, &server_ops, sizeof(server_ops), &d->server);
	fuse_opt_free_args(&args);
	d->server.session = d->session;
	if (d->session) {
		d->signals = !fuse_set_signal_handlers(d->session);
		if (!d->signals)
			report(QC_LOG_ERROR, "signals: no handlers can be set");
		d->mounted = d->signals && mounting(d->session, d->mountpoint, &d->o);
	}
	return d->mounted ? EXIT_OK : EXIT_MOUNT; /* it has said why */
}

static unsigned int default_threads(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return cpus < 2 ? 4 : cpus > 8 ? 16 : (unsigned int)cpus * 2;
}

static int loop(struct daemon *d)
{
	unsigned int threads = d->o.threads ? d->o.threads : default_threads();
	struct fuse_loop_config *config;
	int r;

	if (d->o.single_thread)
		return fuse_session_loop(d->session);
	config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, threads);
	fuse_loop_cfg_set_idle_threads(config, threads);
	r = fuse_session_loop_mt(d->session, config);
	fuse_loop_cfg_destroy(config);
	return r;
}

static enum exitcode serve(struct daemon *d)
{
	int r;

	ready_say(&d->ready);
	background_ready(&d->background);
	if (!d->o.foreground)
		report_to_syslog();
	if (d->first)
		qc_close(d->first); /* from now on it is open when somebody opens it */
	d->first = NULL;
	d->watch = (struct watch){ .ctx = d->ctx, .server = &d->server, .timeout = d->o.timeout };
	r = watch_start(&d->watch);
	if (!r)
		r = loop(d);
	watch_stop(&d->watch);
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

static enum exitcode run(struct daemon *d)
{
	enum exitcode e = check_operands(d);

	if (!e && d->o.ready_fd >= 0 && !ready_fd_is_good(d->o.ready_fd))
		e = EXIT_USAGE;
	if (!e && !d->o.foreground)
		e = into_background(d);
	if (e)
		return e;
	if (d->o.pid_file && pidfile_write(&d->pidfile, d->o.pid_file))
		return EXIT_USAGE;
	ready_open(&d->ready, d->o.ready_fd);
	bound_heap();
	raise_descriptor_limit();
	e = open_source(d);
	if (!e)
		e = open_first(d);
	if (!e)
		fall_back_to_readonly(d);
	if (!e)
		e = mount_it(d);
	if (!e)
		e = serve(d);
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

static void tidy_up(struct daemon *d)
{
	if (d->mounted)
		leave_undisturbed();
	if (d->mounted)
		ready_stopping(&d->ready);
	if (d->mounted)
		fuse_session_unmount(d->session);
	if (d->signals)
		fuse_remove_signal_handlers(d->session);
	if (d->session)
		fuse_session_destroy(d->session);
	if (d->first)
		qc_close(d->first);
	server_close_all(&d->server);
	if (d->server.tree)
		tree_free(d->server.tree);
	if (d->ctx)
		qc_context_free(d->ctx);
	keys_close(&d->keys);
	source_close(&d->source);
	pidfile_remove(&d->pidfile);
	free(d->mountpoint);
	options_free(&d->o);
}

int main(int argc, char **argv)
{
	struct daemon d = {
		.background = { .ready = -1 },
		.ready = { .fd = -1, .socket = -1 },
		.pidfile = { .fd = -1, .dirfd = -1 },
		.source = { .dirfd = -1, .pinned = -1 },
		.keys = { .dirfd = -1, .file_dirfd = -1, .terminal = -1,
			  .lock = PTHREAD_MUTEX_INITIALIZER },
		.server = { .handles_lock = PTHREAD_MUTEX_INITIALIZER,
			    .close_ended = PTHREAD_COND_INITIALIZER },
	};
	enum exitcode e = options_parse(&d.o, argc, argv);

	if (!e && d.o.action == ACTION_HELP) {
		options_help();
	} else if (!e && d.o.action == ACTION_VERSION) {
		print_version();
	} else if (!e) {
		if (d.o.verbose)
			report_set_level(d.o.verbose > 1 ? QC_LOG_TRACE : QC_LOG_INFO);
		e = run(&d);
	}
	tidy_up(&d);
	return e;
}
