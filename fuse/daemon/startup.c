/* SPDX-License-Identifier: MIT */
#include "daemon/daemon.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "views/chain_dir.h"
#include "views/json_file.h"
#include "views/partition_files.h"
#include "views/partition_table.h"
#include "views/snapshot_dir.h"
#include "util/report.h"
#include "tree/tree.h"

enum exitcode startup_check_paths(struct daemon *d)
{
	const struct options *o = &d->o;
	struct stat src, mnt;

	if (o->partitions && !partition_table_library()) {
		report(QC_LOG_ERROR, "partitions: this program was built without libblkid (meson: -Dpartitions=enabled)");
		return EXIT_USAGE;
	}
	if (stat(o->source, &src)) {
		report(QC_LOG_ERROR, "%s: %s%s", o->source, strerror(errno),
		       errno == ENOENT ? " (SOURCE is an image, or a folder of them)" :
					 qc_errno_hint(-errno));
		return EXIT_IMAGE;
	}
	d->mountpoint = realpath(o->mountpoint, NULL);
	if (!d->mountpoint || stat(d->mountpoint, &mnt)) {
		report(QC_LOG_ERROR, "mountpoint %s: %s%s", o->mountpoint, strerror(errno),
		       errno == ENOENT ? " (mkdir makes one)" : qc_errno_hint(-errno));
		return EXIT_MOUNT;
	}
	d->in_folder = S_ISDIR(mnt.st_mode);
	if (!d->in_folder && S_ISDIR(src.st_mode)) {
		report(QC_LOG_ERROR, "mountpoint %s: the folder %s can only be mounted on a folder",
		       o->mountpoint, o->source);
		return EXIT_USAGE;
	}
	if (o->cow_file && S_ISDIR(src.st_mode)) {
		report(QC_LOG_ERROR, "cow: a file is for one image, and %s is a folder: give cow without one", o->source);
		return EXIT_USAGE;
	}
	if (!d->in_folder && (o->snapshots || o->chain || o->info || o->partitions)) {
		report(QC_LOG_ERROR, "mountpoint %s: a file has no room for %s: give a folder",
		       o->mountpoint, o->forensic  ? "forensic" :
				      o->snapshots ? "snapshots" :
				      o->chain	   ? "chain" :
				      o->info	   ? "info" :
						     "partitions");
		return EXIT_USAGE;
	}
	if (!d->in_folder && !S_ISREG(mnt.st_mode)) {
		report(QC_LOG_ERROR, "mountpoint %s: neither a folder nor a regular file, of which one is needed",
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

static struct qc_config config_of(struct daemon *d)
{
	const struct options *o = &d->o;

	return (struct qc_config){
		.log = report_line,
		.log_max = QC_LOG_TRACE,
		.progress = report_progress,
		.refs = o->refs,
		.locking = o->locking,
		.verify = o->verify,
		.path_maps = o->path_maps,
		.npath_maps = o->npath_maps,
		.cache_bytes = o->cache_bytes,
		.keep_discarded = o->keep_discarded,
		.data_file = o->data_file,
		.noatime = o->forensic,
		.key = key_source_exists(&d->keys) ? key_source_get : NULL,
		.key_arg = &d->keys,
	};
}

static struct tree_config look_of(struct daemon *d)
{
	const struct options *o = &d->o;

	return (struct tree_config){
		.set_uid = o->set_uid,
		.set_gid = o->set_gid,
		.uid = o->uid,
		.gid = o->gid,
		.mask = o->umask,
		.ro = o->ro,
		.write_base = o->write_base,
		.cow = o->cow ? &d->cow : NULL,
		.changing = o->locking == QC_LOCKING_SHARE,
		.path_maps = o->path_maps,
		.npath_maps = o->npath_maps,
	};
}

/* Adds the kinds of virtual files that the user wants to see. */
static int register_views(const struct options *o, struct tree *t)
{
	const struct {
		bool wanted;
		const struct view_provider *views;
	} kinds[] = {
		{ o->snapshots, &snapshot_dir_views },
		{ o->chain, &chain_dir_views },
		{ o->info, &json_file_views },
		{ o->partitions, &partition_files_views },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].wanted)
			r = tree_register_views(t, kinds[i].views);
	return r;
}

static enum exitcode open_source(struct daemon *d)
{
	const struct options *o = &d->o;
	struct tree_config look = look_of(d);
	struct qc_config config;
	int r = source_open(&d->source, o->source, d->mountpoint, o->refs == QC_REFS_ANY);

	if (!r && key_source_open(&d->keys, o, d->source.dir, d->source.only))
		return EXIT_KEY;
	config = config_of(d);
	if (!r && o->cow && cow_overlay_begin(&d->cow, o->cow_file))
		return EXIT_USAGE;
	if (!r)
		r = qc_context_new(&config, &d->ctx);
	d->cow.ctx = d->ctx;
	if (!r && o->forensic)
		d->source.traceless = d->ctx;
	if (!r)
		r = tree_new(d->ctx, &d->source, &look, d->in_folder, &d->server.tree);
	if (!r)
		r = register_views(o, d->server.tree);
	if (!r)
		return EXIT_OK;
	report(QC_LOG_ERROR, "%s: %s%s", o->source, strerror(-r), qc_errno_hint(r));
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

	if (d->o.ro || d->o.cow || (!d->source.only && d->o.rw))
		return;
	if (source_is_readonly(&d->source))
		snprintf(why.text, sizeof(why.text), "it cannot be written: %s%s", strerror(errno),
			 qc_errno_hint(-errno));
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
	key_source_end_prompting(&d->keys);
	if (r) {
		report(QC_LOG_ERROR, "%s: %s", d->o.source, *why.text ? why.text : strerror(-r));
		return exit_for(why.cause);
	}
	size = qc_size(d->first);
	r = qc_read(d->first, 0, sector, size < sizeof(sector) ? size : sizeof(sector));
	return r ? EXIT_IMAGE : EXIT_OK; /* what is wrong was said where it was found */
}

void startup_set_limits(void)
{
	bound_heap();
	raise_descriptor_limit();
}

enum exitcode startup_open_source(struct daemon *d)
{
	enum exitcode e = open_source(d);

	if (!e)
		e = open_first(d);
	if (!e)
		fall_back_to_readonly(d);
	return e;
}
